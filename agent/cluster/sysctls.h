// SPDX-License-Identifier: Apache-2.0
// Which sysctls pods may set (kubelet pkg/kubelet/sysctl): the safe ones, which are a pod's own and harm nobody else,
// and those that the node's administrator allows beside (allowedUnsafeSysctls).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "kube/pod.h"

namespace keelson::agent {

class SysctlAllowlist {
 public:
  /// `unsafe`: names, or beginnings of names with a star behind: "net.core.somaxconn", "kernel.msg*"; slashes count as
  /// dots. Kind::invalid: what is no such pattern, or is not known to be a namespace's own.
  static Result<SysctlAllowlist> make(const std::vector<std::string>& unsafe);
  /// The safe ones alone.
  SysctlAllowlist();

  /// In the kubelet's words, why the pod may not have what it asks for: `forbidden sysctl: "kernel.msgmax" not
  /// allowlisted`. nullopt: it may.
  std::optional<std::string> refusal(const kube::Pod& pod) const;

 private:
  enum class Space { ipc, net };
  struct Allowed {
    std::string name;  ///< With a prefix: how the name begins.
    Space space;
    bool prefix = false;
  };
  static std::optional<Space> space_of(const std::string& name);

  std::vector<Allowed> allowed_;
};

}  // namespace keelson::agent
