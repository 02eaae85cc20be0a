// SPDX-License-Identifier: Apache-2.0
// container.h.
#include "cri/runtime/container.h"

namespace keelson::cri {

Container::Container(ContainerRecord record, Records& records)
    : id_(record.id()), sandbox_id_(record.sandbox_id()), records_(records), record_(std::move(record)) {}

ContainerRecord Container::record() const {
  const std::scoped_lock lock(mutex_);
  return record_;
}

::runtime::v1::ContainerState Container::state() const {
  const std::scoped_lock lock(mutex_);
  return record_.state();
}

Result<> Container::update(const std::function<void(ContainerRecord&)>& change) {
  const std::scoped_lock lock(mutex_);
  change(record_);
  changed_.notify_all();
  return forgotten_ ? Result<>() : records_.save(record_).context("container {}", id_);
}

bool Container::forgotten() const {
  const std::scoped_lock lock(mutex_);
  return forgotten_;
}

Result<> Container::forget() {
  const std::scoped_lock lock(mutex_);
  forgotten_ = true;
  return records_.remove_container(id_);
}

bool Container::wait_stopped(std::chrono::steady_clock::time_point deadline) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, deadline, [this] { return record_.state() != ::runtime::v1::CONTAINER_RUNNING; });
}

}  // namespace keelson::cri
