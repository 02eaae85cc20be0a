// SPDX-License-Identifier: Apache-2.0
// sandbox.h.
#include "cri/runtime/sandbox.h"

namespace keelson::cri {

Sandbox::Sandbox(SandboxRecord record, Records& records)
    : id_(record.id()), records_(records), record_(std::move(record)) {}

std::string Sandbox::name() const {
  const std::scoped_lock lock(mutex_);
  const auto& metadata = record_.config().metadata();
  return fmt::format("{}_{}_{}_{}", metadata.name(), metadata.namespace_(), metadata.uid(), metadata.attempt());
}

SandboxRecord Sandbox::record() const {
  const std::scoped_lock lock(mutex_);
  return record_;
}

bool Sandbox::ready() const {
  const std::scoped_lock lock(mutex_);
  return record_.state() == ::runtime::v1::SANDBOX_READY;
}

Result<> Sandbox::update(const std::function<void(SandboxRecord&)>& change) {
  const std::scoped_lock lock(mutex_);
  change(record_);
  return forgotten_ ? Result<>() : records_.save(record_).context("sandbox {}", id_);
}

bool Sandbox::forgotten() const {
  const std::scoped_lock lock(mutex_);
  return forgotten_;
}

Result<> Sandbox::forget() {
  const std::scoped_lock lock(mutex_);
  forgotten_ = true;
  return records_.remove_sandbox(id_);
}

std::shared_ptr<shim::ShimClient> Sandbox::shim() const {
  const std::scoped_lock lock(mutex_);
  return shim_;
}

void Sandbox::set_shim(std::shared_ptr<shim::ShimClient> shim) {
  const std::scoped_lock lock(mutex_);
  shim_ = std::move(shim);
}

std::vector<std::shared_ptr<Container>> Sandbox::containers() const {
  const std::scoped_lock lock(mutex_);
  std::vector<std::shared_ptr<Container>> all;
  for (const auto& [id, container] : containers_) {
    all.push_back(container);
  }
  return all;
}

void Sandbox::insert(std::shared_ptr<Container> container) {
  const std::scoped_lock lock(mutex_);
  const auto& id = container->id();
  containers_.insert_or_assign(id, std::move(container));
}

void Sandbox::erase(const std::string& container_id) {
  const std::scoped_lock lock(mutex_);
  containers_.erase(container_id);
}

}  // namespace keelson::cri
