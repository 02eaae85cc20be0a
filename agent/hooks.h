// SPDX-License-Identifier: Apache-2.0
// postStart and preStop hooks.
#pragma once

#include <functional>
#include <string>

#include "agent/pod_runtime.h"
#include "common/loop.h"
#include "kube/pod.h"

namespace keelson::agent {

/// One hook to run in, or against, one running instance.
struct HookCall {
  kube::LifecycleHandler handler;
  kube::Container container;  ///< For its named ports.
  std::string id;
  std::string pod_ip;
  Duration limit{0};
  /// Told the text of the event when HTTPS was answered by HTTP, and HTTP then worked. May be empty.
  std::function<void(std::string)> fell_back = {};
  /// Told when a pause ended before its time: by the limit, or because the hook was taken back. May be empty.
  std::function<void()> cut_short = {};
};

/// Runs it to its end; the error says what went wrong (Kind::timeout after the limit). Any answer to an HTTP hook is
/// success, whatever its status, and where HTTPS is answered by HTTP it is asked again by HTTP, without the header
/// Authorization, as the kubelet does. tcpSocket does nothing.
Task<> run_hook(Loop& loop, PodRuntime& runtime, HookCall call);

}  // namespace keelson::agent
