// SPDX-License-Identifier: Apache-2.0
// The worker's side of probing: which instances are to be probed, and what came of it.
#pragma once

#include <functional>
#include <string>

#include "agent/observed.h"
#include "kube/pod.h"

namespace keelson::agent {

enum class ProbeKind { liveness, readiness, startup };

/// News of one container's probe. `decided` is set when a threshold was reached: then `success` is the new state;
/// otherwise only a single try's event is due.
struct ProbeNews {
  ProbeKind kind = ProbeKind::liveness;
  std::string name;  ///< The container.
  std::string id;    ///< Its instance; news of an older one is ignored.
  bool decided = false;
  bool success = false;
  std::string message;       ///< Of a failure or error: "HTTP probe failed with statuscode: 500".
  bool error = false;        ///< The try itself went wrong: it says nothing about the container.
  std::string warning = {};  ///< Of a success.
};

/// What probes have decided of an instance so far.
struct ProbeState {
  bool started = false;
  bool ready = false;
  bool operator==(const ProbeState&) const = default;
};

/// All calls on the agent's loop.
class ContainerProbes {
 public:
  virtual ~ContainerProbes() = default;
  /// Probes this running instance as its spec says (startup first, unless it has `known.started`), until forget() or a
  /// call with another id for the same container. Repeats change nothing. `news`, of what differs from `known`, is
  /// called on the loop.
  virtual void watch(const kube::Pod& pod, const ObservedContainer& instance, const std::string& pod_ip,
                     ProbeState known, std::function<void(ProbeNews)> news) = 0;
  /// The pod ends: liveness and startup probes stop, readiness goes on.
  virtual void pod_ends(const std::string& uid) = 0;
  /// One container does not run any more.
  virtual void forget(const std::string& uid, const std::string& container) = 0;
};

}  // namespace keelson::agent
