// SPDX-License-Identifier: Apache-2.0
// sysctls.h.
#include "cri/runtime/sysctls.h"

#include <algorithm>
#include <string_view>

#include "common/sysctl_name.h"

namespace keelson::cri {

namespace v1 = ::runtime::v1;

namespace {

constexpr std::string_view kOfIpc[] = {"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
                                       "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced"};

Result<> check(const std::string& name, const v1::PodSandboxConfig& config) {
  const auto& namespaces = config.linux().security_context().namespace_options();
  const bool own_network = namespaces.network() != v1::NODE;
  if (std::ranges::find(kOfIpc, name) != std::end(kOfIpc) || name.starts_with("fs.mqueue.")) {
    return namespaces.ipc() != v1::NODE ? Result<>()
                                        : fail(Kind::invalid, "it is not allowed in the node's IPC namespace");
  }
  if (name.starts_with("net.")) {
    return own_network ? Result<>() : fail(Kind::invalid, "it is not allowed in the node's network namespace");
  }
  const bool own_name = own_network || !config.hostname().empty();
  if (own_name && name == "kernel.domainname") {
    return {};
  }
  if (own_name && name == "kernel.hostname") {
    return fail(Kind::invalid, "config.hostname says it");
  }
  return fail(Kind::invalid, "it is the whole node's: no namespace has one of its own");
}

}  // namespace

Result<> check_sysctls(const v1::PodSandboxConfig& config) {
  for (const auto& [name, value] : config.linux().sysctls()) {
    const auto dotted = sysctl_with_dots(name);
    auto outcome = sysctl_path(name) ? check(dotted, config) : fail(Kind::invalid, "it is no name");
    KEELSON_DO(std::move(outcome).context("config.linux.sysctls: {}", name));
  }
  return {};
}

}  // namespace keelson::cri
