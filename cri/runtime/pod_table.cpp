// SPDX-License-Identifier: Apache-2.0
// pod_table.h.
#include "cri/runtime/pod_table.h"

#include <sys/random.h>

#include <array>

namespace keelson::cri {

namespace {

std::string container_name(const ContainerRecord& record) {
  const auto& metadata = record.config().metadata();
  return fmt::format("{}_{}_{}", metadata.name(), record.sandbox_id(), metadata.attempt());
}

template <class Map>
Result<typename Map::mapped_type> find_by_prefix(const Map& map, std::string_view id, std::string_view what) {
  if (id.empty()) {
    return fail(Kind::invalid, "{} id is empty", what);
  }
  const auto found = map.lower_bound(id);
  if (found == map.end() || !found->first.starts_with(id)) {
    return fail(Kind::not_found, "{} \"{}\" not found", what, id);
  }
  const auto next = std::next(found);
  if (found->first != id && next != map.end() && next->first.starts_with(id)) {
    return fail(Kind::invalid, "{} id \"{}\" is the start of several", what, id);
  }
  return found->second;
}

}  // namespace

std::string PodTable::new_id() {
  std::array<unsigned char, 32> bytes{};
  size_t have = 0;
  while (have < bytes.size()) {
    const auto got = ::getrandom(bytes.data() + have, bytes.size() - have, 0);
    have += got > 0 ? static_cast<size_t>(got) : 0;
  }
  std::string id;
  for (const auto byte : bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    id += kDigits[byte >> 4];
    id += kDigits[byte & 15];
  }
  return id;
}

Result<> PodTable::insert(std::shared_ptr<Sandbox> sandbox) {
  const auto name = sandbox->name();
  const std::scoped_lock lock(mutex_);
  const auto [at, fresh] = names_.try_emplace(name, sandbox->id());
  if (!fresh) {
    return fail(Kind::exists, "sandbox name \"{}\" is taken by {}", name, at->second);
  }
  const auto& id = sandbox->id();
  sandboxes_.insert_or_assign(id, std::move(sandbox));
  return {};
}

void PodTable::adopt(std::shared_ptr<Sandbox> sandbox) {
  const auto name = sandbox->name();
  const std::scoped_lock lock(mutex_);
  names_.try_emplace(name, sandbox->id());
  const auto& id = sandbox->id();
  sandboxes_.insert_or_assign(id, std::move(sandbox));
}

void PodTable::erase_name(const std::string& name, const std::string& id) {
  if (const auto found = names_.find(name); found != names_.end() && found->second == id) {
    names_.erase(found);
  }
}

void PodTable::erase_sandbox(const std::string& id) {
  const std::scoped_lock lock(mutex_);
  if (const auto found = sandboxes_.find(id); found != sandboxes_.end()) {
    erase_name(found->second->name(), id);
    sandboxes_.erase(found);
  }
}

Result<> PodTable::insert(const std::shared_ptr<Sandbox>& sandbox, std::shared_ptr<Container> container) {
  const auto name = container->read(container_name);
  const std::scoped_lock lock(mutex_);
  const auto [at, fresh] = names_.try_emplace(name, container->id());
  if (!fresh) {
    return fail(Kind::exists, "container name \"{}\" is taken by {}", name, at->second);
  }
  sandbox->insert(container);
  const auto& id = container->id();
  containers_.insert_or_assign(id, Located{sandbox, std::move(container)});
  return {};
}

void PodTable::adopt(const std::shared_ptr<Sandbox>& sandbox, std::shared_ptr<Container> container) {
  const auto name = container->read(container_name);
  const std::scoped_lock lock(mutex_);
  names_.try_emplace(name, container->id());
  sandbox->insert(container);
  const auto& id = container->id();
  containers_.insert_or_assign(id, Located{sandbox, std::move(container)});
}

void PodTable::erase_container(const std::string& id) {
  const std::scoped_lock lock(mutex_);
  if (const auto found = containers_.find(id); found != containers_.end()) {
    erase_name(found->second.container->read(container_name), id);
    found->second.sandbox->erase(id);
    containers_.erase(found);
  }
}

Result<std::shared_ptr<Sandbox>> PodTable::sandbox(std::string_view id) const {
  const std::scoped_lock lock(mutex_);
  return find_by_prefix(sandboxes_, id, "sandbox");
}

Result<Located> PodTable::container(std::string_view id) const {
  const std::scoped_lock lock(mutex_);
  return find_by_prefix(containers_, id, "container");
}

std::vector<std::shared_ptr<Sandbox>> PodTable::sandboxes() const {
  const std::scoped_lock lock(mutex_);
  std::vector<std::shared_ptr<Sandbox>> all;
  for (const auto& [id, sandbox] : sandboxes_) {
    all.push_back(sandbox);
  }
  return all;
}

std::vector<Located> PodTable::containers() const {
  const std::scoped_lock lock(mutex_);
  std::vector<Located> all;
  for (const auto& [id, located] : containers_) {
    all.push_back(located);
  }
  return all;
}

}  // namespace keelson::cri
