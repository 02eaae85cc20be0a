// SPDX-License-Identifier: Apache-2.0
// What the agent writes of the node for the heartbeat to read, which runs on a thread of its own.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "agent/node/eviction_signals.h"
#include "agent/node/resources.h"
#include "common/clock.h"

namespace keelson::agent {

/// Thread-safe.
class NodeBoard {
 public:
  struct Words {
    Pressures pressures;
    bool shutting_down = false;                           ///< The machine, and this node with it.
    std::optional<std::set<std::string>> volumes_in_use;  ///< None: nobody has said.
    DeviceResources devices;
    bool operator==(const Words&) const = default;
  };

  Words read() const {
    const std::lock_guard guard(mutex_);
    return words_;
  }
  void tell(const Pressures& pressures) {
    change([&](Words& words) { words.pressures = pressures; });
  }
  void tell_shutdown(bool now) {
    change([&](Words& words) { words.shutting_down = now; });
  }
  void tell_volumes(std::set<std::string> in_use) {
    change([&](Words& words) { words.volumes_in_use = std::move(in_use); });
  }
  void tell_devices(DeviceResources devices) {
    change([&](Words& words) { words.devices = std::move(devices); });
  }
  /// The agent has looked at its runtime at this time: it lives. That is no change of a word, and nobody is called.
  void tell_alive(SteadyTime when) {
    const std::lock_guard guard(mutex_);
    alive_ = when;
  }
  /// None: it never has.
  std::optional<SteadyTime> last_alive() const {
    const std::lock_guard guard(mutex_);
    return alive_;
  }
  /// Called after each change, on the thread of whoever made it, which waits; empty: nobody is. After the call nobody
  /// calls the one before.
  void listen(std::function<void()> listener) {
    const std::lock_guard guard(mutex_);
    listener_ = std::move(listener);
  }

 private:
  template <class F>
  void change(F how) {
    const std::lock_guard guard(mutex_);
    const Words before = words_;
    how(words_);
    if (words_ != before && listener_) {
      listener_();
    }
  }

  mutable std::mutex mutex_;
  Words words_;
  std::optional<SteadyTime> alive_;
  std::function<void()> listener_;
};

}  // namespace keelson::agent
