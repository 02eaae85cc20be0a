// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/referred_objects.h"

#include <utility>

namespace keelson::agent {

ReferredObjects::ReferredObjects(kube::Client& client, std::mt19937_64& seeds, const std::function<void()>& changed)
    : config_maps_(client, "ConfigMaps", seeds(), changed),
      secrets_(client, "Secrets", seeds(), changed),
      services_(client, "Services", seeds(), changed),
      runtime_classes_(client, "RuntimeClasses", seeds(), changed) {}

void ReferredObjects::want(const References& references) {
  config_maps_.want(references.config_maps);
  secrets_.want(references.secrets);
  services_.want(references.services);
  runtime_classes_.want(references.runtime_classes);
}

bool ReferredObjects::synced(const References& references) const {
  return config_maps_.synced(references.config_maps) && secrets_.synced(references.secrets) &&
         services_.synced(references.services) && runtime_classes_.synced(references.runtime_classes);
}

Result<> ReferredObjects::check_environment(const References& references) const {
  if (!services_.synced(references.services)) {
    return fail(Kind::invalid, "services have not yet been read at least once, cannot construct envvars");
  }
  for (const auto& [kind, known] : {std::pair("configmap", config_maps_.synced(references.config_maps)),
                                    std::pair("secret", secrets_.synced(references.secrets))}) {
    if (!known) {
      return fail(Kind::invalid, "failed to sync {} cache: timed out waiting for the condition", kind);
    }
  }
  return {};
}

void ReferredObjects::copy_to(kube::DesiredState& state) const {
  config_maps_.copy_to(state.config_maps);
  secrets_.copy_to(state.secrets);
  services_.copy_to(state.services);
  runtime_classes_.copy_to(state.runtime_classes);
}

void ReferredObjects::retry_now() {
  config_maps_.retry_now();
  secrets_.retry_now();
  services_.retry_now();
  runtime_classes_.retry_now();
}

Task<> ReferredObjects::close() {
  KEELSON_CO_DO(co_await config_maps_.close());
  KEELSON_CO_DO(co_await secrets_.close());
  KEELSON_CO_DO(co_await services_.close());
  co_return co_await runtime_classes_.close();
}

}  // namespace keelson::agent
