// SPDX-License-Identifier: Apache-2.0
#include "agent/cpus/topology.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>

#include "common/fd.h"

namespace keelson::cpus {

namespace fs = std::filesystem;

CpuSet Topology::cpus() const {
  std::vector<int> numbers;
  for (const auto& [cpu, place] : places_) {
    numbers.push_back(cpu);
  }
  return CpuSet(std::move(numbers));
}

Topology Topology::only(const CpuSet& cpus) const {
  std::map<int, CpuPlace> places;
  for (const auto& [cpu, place] : places_) {
    if (cpus.contains(cpu)) {
      places.emplace_hint(places.end(), cpu, place);
    }
  }
  return Topology(std::move(places));
}

CpuSet Topology::ids(Level level) const {
  std::vector<int> found;
  for (const auto& [cpu, place] : places_) {
    found.push_back(place.*level);
  }
  return CpuSet(std::move(found));
}

CpuSet Topology::ids_in(Level level, Level outer, int id) const {
  std::vector<int> found;
  for (const auto& [cpu, place] : places_) {
    if (place.*outer == id) {
      found.push_back(place.*level);
    }
  }
  return CpuSet(std::move(found));
}

CpuSet Topology::cpus_in(Level level, int id) const {
  return cpus_in(level, CpuSet({id}));
}

CpuSet Topology::cpus_in(Level level, const CpuSet& ids) const {
  std::vector<int> found;
  for (const auto& [cpu, place] : places_) {
    if (ids.contains(place.*level)) {
      found.push_back(cpu);
    }
  }
  return CpuSet(std::move(found));
}

int Topology::cpus_per(Level level) const {
  return places_.empty() ? 0 : static_cast<int>(places_.size()) / ids(level).size();
}

bool Topology::aligned_at_uncore(const CpuSet& cpus) const {
  return cpus.size() < 2 || (cpus.is_within(this->cpus()) && only(cpus).ids(&CpuPlace::uncore).size() == 1);
}

namespace {

std::string text_of(const std::string& file) {
  auto text = read_file(file).value_or("");
  text.erase(text.find_last_not_of(" \n") + 1);
  return text;
}

std::optional<int> number_of(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

/// What is no list has nothing in it.
CpuSet list_of(const std::string& file) {
  return CpuSet::parse(text_of(file)).value_or(CpuSet());
}

/// By node; a kernel without NUMA tells none.
std::map<int, CpuSet> read_nodes(const std::string& system, const CpuSet& online) {
  constexpr std::string_view kNode = "node";
  std::map<int, CpuSet> nodes;
  std::error_code error;
  auto entry = fs::directory_iterator(system + "/node", error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const auto name = entry->path().filename().string();
    const auto number = name.starts_with(kNode) ? number_of(std::string_view(name).substr(kNode.size())) : std::nullopt;
    if (const auto cpus = list_of(entry->path().string() + "/cpulist") & online; number && !cpus.empty()) {
      nodes[*number] = cpus;
    }
  }
  CpuSet known;
  for (const auto& [node, cpus] : nodes) {
    known = known | cpus;
  }
  if (const auto rest = online - known; !rest.empty()) {
    nodes[0] = nodes[0] | rest;
  }
  return nodes;
}

/// The number of the third-level cache that this CPU shares with some of its node and not with all: as cAdvisor finds
/// it.
std::optional<int> uncore_of(const std::string& folder, int cpus_of_node) {
  constexpr int kThird = 3;
  std::error_code error;
  auto entry = fs::directory_iterator(folder + "/cache", error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const auto cache = entry->path().string();
    const auto id = number_of(text_of(cache + "/id"));
    if (id && number_of(text_of(cache + "/level")).value_or(0) >= kThird &&
        list_of(cache + "/shared_cpu_list").size() != cpus_of_node) {
      return id;
    }
  }
  return std::nullopt;
}

}  // namespace

Result<Topology> read_topology(const std::string& root) {
  const auto system = root + "/sys/devices/system";
  KEELSON_TRY(auto text, read_file(system + "/cpu/online"));
  text.erase(text.find_last_not_of(" \n") + 1);
  KEELSON_TRY(const auto online, CpuSet::parse(text).context("{}/cpu/online", system));
  if (online.empty()) {
    return fail(Kind::invalid, "{}/cpu/online: could not detect number of cpus", system);
  }
  std::map<int, CpuPlace> places;
  for (const auto& [node, cpus] : read_nodes(system, online)) {
    for (const int cpu : cpus) {
      const auto folder = fmt::format("{}/cpu/cpu{}", system, cpu);
      const auto threads = list_of(folder + "/topology/thread_siblings_list") & online;
      CpuPlace place{.numa = node, .core = threads.empty() ? cpu : threads.numbers().front()};
      place.socket = std::max(number_of(text_of(folder + "/topology/physical_package_id")).value_or(0), 0);
      place.uncore = uncore_of(folder, cpus.size()).value_or(place.socket);
      places[cpu] = place;
    }
  }
  return Topology(std::move(places));
}

}  // namespace keelson::cpus
