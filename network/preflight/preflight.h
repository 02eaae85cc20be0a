// SPDX-License-Identifier: Apache-2.0
// Whether this node can route services, before it does: everything is looked at, or tried for real where nobody
// notices.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ebpf/node_links.h"
#include "http/bind_address.h"

namespace keelson::network {

enum class Outcome {
  ok,
  warning,  ///< The node works without it, or the reader has to decide.
  failed    ///< `keelson node --roles network` would not start, or would not route.
};
std::string_view to_string(Outcome outcome);

/// One thing that was looked at.
struct Finding {
  std::string subject;  ///< "kernel", "bpffs", ...
  Outcome outcome = Outcome::ok;
  std::string text;    ///< What was found.
  std::string advice;  ///< What to do about it; empty if nothing.
};

struct ListeningPort {
  http::BindAddress where;
  std::string purpose;  ///< "health checks", for people.
};

struct PreflightOptions {
  std::string bpf_dir;
  std::string socket_cgroup;  ///< Empty: the root of cgroup v2.
  ebpf::LinkRules links;
  std::vector<ListeningPort> ports;
  std::string kubeconfig;  ///< Empty: no API server is asked. "in-cluster": by the pod's service account.
};

/// In this thread's network namespace. Blocks for a second or two. Never fails: what cannot be found out is a finding.
/// Leaves nothing behind.
std::vector<Finding> preflight(const PreflightOptions& options);

}  // namespace keelson::network
