// SPDX-License-Identifier: Apache-2.0
// What a driver is asked for a pod's volume: to stage and to publish it, again if it wants so, and to make it larger.
#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "agent/cluster/token_request.h"
#include "agent/config/group_owner.h"
#include "agent/storage/csi_mounting.h"
#include "common/fd.h"
#include "common/log.h"

namespace keelson::storage {

namespace {

using RpcType = csi::v1::NodeServiceCapability::RPC;

constexpr std::chrono::minutes kRepublish{1};
constexpr int64_t kTokenLife = 3600;  // seconds, where the driver says nothing

/// What a driver's refusal to make a volume larger means (CSI, NodeExpandVolume errors).
Growing growing_of(const Error& error) {
  using End = Growing::End;
  const auto why = "Expander.NodeExpand failed to expand the volume : " + error.message();
  switch (static_cast<grpc::StatusCode>(error.code())) {
    case grpc::StatusCode::FAILED_PRECONDITION:
      return {End::in_use, why};
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::OUT_OF_RANGE:
    case grpc::StatusCode::NOT_FOUND:
      return {End::infeasible, "Expander.NodeExpand failed to expand the volume " + error.message()};
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
    case grpc::StatusCode::ABORTED:
      return {End::unknown, why};
    default:
      return {End::failed, why};
  }
}

}  // namespace

Task<> CsiVolumes::stage(SharedMounting m) {
  const auto name = unique_name(m->record.driver, m->record.handle);
  if (!m->stages() || staged_.contains(name)) {
    co_return Result<>();
  }
  KEELSON_CO_TRY(const auto secrets, co_await secret(m->source().node_stage_secret));
  KEELSON_CO_DO(write_record(device_dir(options_.root, m->record.driver, m->record.handle), m->record));
  const auto target = globalmount(options_.root, m->record);
  KEELSON_CO_DO(make_directories(target, 0750));
  csi::v1::NodeStageVolumeRequest request;
  request.set_volume_id(m->record.handle);
  fill(*request.mutable_publish_context(), m->publish_context);
  request.set_staging_target_path(target);
  *request.mutable_volume_capability() = m->capability();
  fill(*request.mutable_secrets(), secrets);
  fill(*request.mutable_volume_context(), m->source().volume_attributes);
  KEELSON_CO_TRY(const auto answer,
                 co_await m->driver->client.ask(&CsiCalls::NodeStageVolume, std::move(request), kCsiDeadline));
  staged_.insert(name);
  co_return Result<>();
}

Task<> CsiVolumes::publish(SharedMounting m) {
  KEELSON_CO_TRY(const auto secrets, co_await secret(m->source().node_publish_secret));
  const auto target = pod_folder(options_.root, m->pod.metadata.uid, m->record) + "/mount";
  csi::v1::NodePublishVolumeRequest request;
  request.set_volume_id(m->record.handle);
  fill(*request.mutable_publish_context(), m->publish_context);
  if (m->stages()) {
    request.set_staging_target_path(globalmount(options_.root, m->record));
  }
  request.set_target_path(target);
  *request.mutable_volume_capability() = m->capability();
  request.set_readonly(m->bound.read_only);
  fill(*request.mutable_secrets(), secrets);
  fill(*request.mutable_volume_context(), m->source().volume_attributes);
  if (m->rules.pod_info_on_mount) {
    fill(*request.mutable_volume_context(), pod_info(m->pod, m->bound.ephemeral));
  }
  KEELSON_CO_TRY(const auto own_tokens, co_await tokens(m));
  fill(*request.mutable_volume_context(), own_tokens);
  KEELSON_CO_TRY(const auto answer,
                 co_await m->driver->client.ask(&CsiCalls::NodePublishVolume, std::move(request), kCsiDeadline));
  if (!m->record.group_given && m->pod.spec.security_context.fs_group &&
      is_given_to_group(m->bound, m->rules.fs_group_policy, *m->driver)) {
    KEELSON_CO_DO(co_await blocking(
        pool_, [target, security = m->pod.spec.security_context] { return agent::give_to_group(target, security); }));
    m->record.group_given = true;
    KEELSON_CO_DO(write_record(pod_folder(options_.root, m->pod.metadata.uid, m->record), m->record));
  }
  co_return Result<>();
}

/// For drivers that act for the pod's service account elsewhere (KEP-2047).
Task<kube::StringMap> CsiVolumes::tokens(SharedMounting m) {
  boost::json::object given;
  for (const auto& wanted : m->rules.token_requests) {
    auto request = agent::token_request(
        m->pod.metadata, agent::service_account_of(m->pod),
        {.audience = wanted.audience, .expiration_seconds = wanted.expiration_seconds.value_or(kTokenLife)});
    KEELSON_CO_TRY(const auto body, co_await agent::call_of_pod(loop_, call_, std::move(request)));
    KEELSON_CO_TRY(const auto token, agent::read_token(body));
    given[wanted.audience] = {{"token", token.text}, {"expirationTimestamp", format_rfc3339(token.expires)}};
  }
  if (given.empty()) {
    co_return kube::StringMap();
  }
  co_return kube::StringMap{{"csi.storage.k8s.io/serviceAccount.tokens", boost::json::serialize(given)}};
}

Task<Growing> CsiVolumes::grow(SharedHeldVolume volume, int64_t bytes) {
  using End = Growing::End;
  const auto& source = *volume->bound.volume.csi;
  const auto driver = drivers_.find(source.driver);
  if (!driver) {
    co_return Growing{End::unknown, driver.error().message()};
  }
  if (!(*driver)->can(RpcType::EXPAND_VOLUME)) {
    co_return Growing{End::unsupported, "NodeExpand is not supported by the CSI driver " + source.driver};
  }
  const auto secrets = co_await secret(source.node_expand_secret);
  if (!secrets) {
    const auto& error = secrets.error();
    co_return Growing{agent::is_away(error) ? End::unknown : End::failed,
                      fmt::format("expander.NodeExpand failed to get NodeExpandSecretRef {}/{}: {}",
                                  source.node_expand_secret->ns, source.node_expand_secret->name, error.message())};
  }
  KEELSON_CO_TRY(const auto turn, co_await turns_.take(unique_name(source.driver, source.volume_handle)));
  const CsiRecord record{
      .driver = source.driver, .handle = source.volume_handle, .name = volume->bound.name, .attachment = {}};
  const auto folder = pod_folder(options_.root, volume->pod.uid, record);
  if (!read_record(folder)) {
    co_return Growing{End::unknown, fmt::format("volume {} is not published any more", record.name)};
  }
  csi::v1::NodeExpandVolumeRequest request;
  request.set_volume_id(record.handle);
  request.set_volume_path(folder + "/mount");
  request.mutable_capacity_range()->set_required_bytes(bytes);
  if ((*driver)->can(RpcType::STAGE_UNSTAGE_VOLUME)) {
    request.set_staging_target_path(globalmount(options_.root, record));
  }
  *request.mutable_volume_capability() = capability_of(volume->bound, **driver, std::nullopt);
  fill(*request.mutable_secrets(), *secrets);
  const auto answer = co_await (*driver)->client.ask(&CsiCalls::NodeExpandVolume, std::move(request), kCsiDeadline);
  co_return answer ? Growing() : growing_of(answer.error());
}

Task<> CsiVolumes::republish() {
  while (true) {
    KEELSON_CO_DO(co_await loop_.sleep(kRepublish));
    std::set<std::string> due;
    for (const auto& [key, mounting] : republished_) {
      due.insert(mounting->record.driver);
    }
    for (const auto& driver : due) {
      if (republishing_.insert(driver).second) {
        tasks_.spawn("volumes that are published again", republish_of(driver));
      }
    }
  }
}

/// One round.
Task<> CsiVolumes::republish_of(std::string name) {
  for (const auto& [key, mounting] : std::map(republished_)) {
    if (mounting->record.driver != name) {
      continue;
    }
    KEELSON_CO_TRY(const auto turn, co_await turns_.take(unique_name(name, mounting->record.handle)));
    if (!republished_.contains(key)) {
      continue;  // unmounted meanwhile
    }
    if (auto driver = drivers_.find(name)) {
      mounting->driver = *std::move(driver);
    }
    if (auto done = co_await publish(mounting); !done) {
      log::warning("pod {}: volume {}: {}", kube::full_name(mounting->pod.metadata), mounting->bound.name,
                   done.error().message());
    }
  }
  republishing_.erase(name);
  co_return Result<>();
}

}  // namespace keelson::storage
