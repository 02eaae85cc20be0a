// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/sysctls.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "common/sysctl_name.h"

namespace keelson::agent {

namespace {

/// All are of their own in a namespace since Linux 4.15.
constexpr const char* kSafe[] = {"kernel.shm_rmid_forced",
                                 "net.ipv4.ip_local_port_range",
                                 "net.ipv4.tcp_syncookies",
                                 "net.ipv4.ping_group_range",
                                 "net.ipv4.tcp_fin_timeout",
                                 "net.ipv4.ip_unprivileged_port_start",
                                 "net.ipv4.tcp_keepalive_time",
                                 "net.ipv4.tcp_rmem",
                                 "net.ipv4.ip_local_reserved_ports",
                                 "net.ipv4.tcp_keepalive_probes",
                                 "net.ipv4.tcp_wmem",
                                 "net.ipv4.tcp_keepalive_intvl"};
/// "kernel.shm" and "kernel.msg" are what is left of "kernel.shm*".
constexpr std::string_view kIpc[] = {
    "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced",
    "kernel.shm", "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.msg"};
constexpr size_t kMaxLength = 253;

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/// Segments of a-z, 0-9, - and _ between dots or slashes; the last may end with a star.
bool is_pattern(std::string_view text) {
  if (text.empty() || text.size() > kMaxLength) {
    return false;
  }
  const bool prefix = text.back() == '*';
  if (prefix) {
    text.remove_suffix(1);
  }
  char before = '.';
  for (const char c : text) {
    const bool separates = c == '.' || c == '/';
    const bool first = before == '.' || before == '/';
    if (separates ? !is_word(before) : !is_word(c) && (first || (c != '-' && c != '_'))) {
      return false;
    }
    before = c;
  }
  return prefix || is_word(before);
}

}  // namespace

std::optional<SysctlAllowlist::Space> SysctlAllowlist::space_of(const std::string& name) {
  if (std::ranges::find(kIpc, name) != std::end(kIpc) || name.starts_with("fs.mqueue.")) {
    return Space::ipc;
  }
  return name.starts_with("net.") ? std::optional(Space::net) : std::nullopt;
}

SysctlAllowlist::SysctlAllowlist() {
  for (const std::string name : kSafe) {
    allowed_.push_back({.name = name, .space = name.starts_with("net.") ? Space::net : Space::ipc});
  }
}

Result<SysctlAllowlist> SysctlAllowlist::make(const std::vector<std::string>& unsafe) {
  SysctlAllowlist list;
  for (const auto& text : unsafe) {
    if (!is_pattern(text)) {
      return fail(Kind::invalid, "'{}' is no name of a sysctl, nor the beginning of one with a star behind", text);
    }
    auto name = sysctl_with_dots(text);
    const bool prefix = name.back() == '*';
    if (prefix) {
      name.pop_back();
    }
    const auto space = space_of(name);
    if (!space) {
      return fail(Kind::invalid, "'{}' is not known to be of its own in a pod's namespaces", text);
    }
    list.allowed_.push_back({.name = std::move(name), .space = *space, .prefix = prefix});
  }
  return list;
}

std::optional<std::string> SysctlAllowlist::refusal(const kube::Pod& pod) const {
  for (const auto& sysctl : pod.spec.security_context.sysctls) {
    const auto name = sysctl_with_dots(sysctl.name);
    // The whole name first, as the kubelet: its namespace is known better.
    auto found = std::ranges::find_if(allowed_, [&](const Allowed& one) { return !one.prefix && one.name == name; });
    if (found == allowed_.end()) {
      found =
          std::ranges::find_if(allowed_, [&](const Allowed& one) { return one.prefix && name.starts_with(one.name); });
    }
    if (found == allowed_.end()) {
      return fmt::format("forbidden sysctl: \"{}\" not allowlisted", name);
    }
    const bool net = found->space == Space::net;
    if (net ? pod.spec.host_network : pod.spec.host_ipc) {
      return fmt::format("forbidden sysctl: \"{}\" not allowed with host {} enabled", name, net ? "Net" : "IPC");
    }
  }
  return std::nullopt;
}

}  // namespace keelson::agent
