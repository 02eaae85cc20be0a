// SPDX-License-Identifier: Apache-2.0
// One pod sandbox as the runtime knows it: its record, its containers, and the line to its shim.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "cri/runtime/container.h"
#include "cri/runtime/records.h"

namespace keelson::cri {

namespace shim {
class ShimClient;
}

/// Thread-safe. Held by shared_ptr. Lock order: operation(), then the container's operation(), then any inner mutex.
class Sandbox {
 public:
  Sandbox(SandboxRecord record, Records& records);

  const std::string& id() const { return id_; }
  /// name_namespace_uid_attempt: unique among sandboxes.
  std::string name() const;

  template <class F>
  auto read(F look) const {
    const std::scoped_lock lock(mutex_);
    return look(record_);
  }
  SandboxRecord record() const;
  bool ready() const;
  /// As Container::update.
  Result<> update(const std::function<void(SandboxRecord&)>& change);

  /// As Container::forget.
  Result<> forget();
  bool forgotten() const;

  /// The line to the shim; null while there is none (not launched yet, or dead).
  std::shared_ptr<shim::ShimClient> shim() const;
  void set_shim(std::shared_ptr<shim::ShimClient> shim);

  std::vector<std::shared_ptr<Container>> containers() const;
  void insert(std::shared_ptr<Container> container);
  void erase(const std::string& container_id);

  /// Held exclusively by RunPodSandbox, StopPodSandbox and RemovePodSandbox while they act, and shared by what needs
  /// the sandbox to stay as it is: CreateContainer and StartContainer.
  std::shared_mutex& operation() { return operation_; }

 private:
  const std::string id_;
  Records& records_;
  std::shared_mutex operation_;
  mutable std::mutex mutex_;
  SandboxRecord record_;
  bool forgotten_ = false;
  std::shared_ptr<shim::ShimClient> shim_;
  std::map<std::string, std::shared_ptr<Container>> containers_;
};

}  // namespace keelson::cri
