// SPDX-License-Identifier: Apache-2.0
#include "agent/node/eviction_signals.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ranges>
#include <set>
#include <utility>

namespace keelson::agent {

namespace {

constexpr std::array<std::pair<EvictionSignal, std::string_view>, 8> kSignals = {
    {{EvictionSignal::memory_available, "memory.available"},
     {EvictionSignal::nodefs_available, "nodefs.available"},
     {EvictionSignal::nodefs_inodes_free, "nodefs.inodesFree"},
     {EvictionSignal::imagefs_available, "imagefs.available"},
     {EvictionSignal::imagefs_inodes_free, "imagefs.inodesFree"},
     {EvictionSignal::containerfs_available, "containerfs.available"},
     {EvictionSignal::containerfs_inodes_free, "containerfs.inodesFree"},
     {EvictionSignal::pid_available, "pid.available"}}};

struct Level {
  int64_t capacity = 0;
  int64_t available = 0;
};

Level level_of(EvictionSignal signal, const Machine& machine) {
  switch (signal) {
    case EvictionSignal::memory_available:
      return {machine.memory, machine.memory_available};
    case EvictionSignal::nodefs_available:
    case EvictionSignal::imagefs_available:
    case EvictionSignal::containerfs_available:
      return {machine.storage, machine.storage_available};
    case EvictionSignal::nodefs_inodes_free:
    case EvictionSignal::imagefs_inodes_free:
    case EvictionSignal::containerfs_inodes_free:
      return {machine.inodes, machine.inodes_free};
    case EvictionSignal::pid_available:
      return {machine.processes, machine.processes_available};
  }
  return {};
}

}  // namespace

Result<double> parse_share(std::string_view text) {
  double percent = 0;
  const char* const last = text.data() + text.size() - (text.ends_with('%') ? 1 : 0);
  const auto [end, error] = std::from_chars(text.data(), last, percent);
  if (!text.ends_with('%') || error != std::errc() || end != last || percent < 0 || percent > 100) {
    return fail(Kind::invalid, "'{}' is not a percentage from 0% to 100%", text);
  }
  return percent / 100;
}

std::string_view to_string(EvictionSignal signal) {
  const auto* known = std::ranges::find(kSignals, signal, [](const auto& entry) { return entry.first; });
  return known != kSignals.end() ? known->second : std::string_view();
}

int64_t EvictionThreshold::value(int64_t capacity) const {
  return share ? static_cast<int64_t>(*share * static_cast<double>(capacity)) : amount.whole();
}

Result<std::vector<EvictionThreshold>> parse_thresholds(const std::vector<std::string>& texts) {
  std::vector<EvictionThreshold> thresholds;
  std::set<std::string_view> seen;
  for (const std::string& text : texts) {
    const size_t sign = text.find('<');
    if (sign == std::string::npos) {
      return fail(Kind::invalid, "'{}' is not SIGNAL<AMOUNT, such as memory.available<100Mi", text);
    }
    const auto name = std::string_view(text).substr(0, sign);
    const auto value = std::string_view(text).substr(sign + 1);
    const auto* known = std::ranges::find(kSignals, name, [](const auto& entry) { return entry.second; });
    if (known == kSignals.end()) {
      return fail(Kind::invalid, "'{}': there is no signal {}; use one of {}", text, name,
                  fmt::join(kSignals | std::views::values, ", "));
    }
    if (!seen.insert(name).second) {
      return fail(Kind::invalid, "{} is given twice", name);
    }
    EvictionThreshold threshold{.signal = known->first, .amount = {}, .share = {}};
    if (value.ends_with('%')) {
      KEELSON_TRY(threshold.share, parse_share(value).context("{}", name));
      if (*threshold.share == 0 || *threshold.share == 1) {
        continue;
      }
    } else {
      KEELSON_TRY(threshold.amount, kube::Quantity::parse(value).context("{}", name));
      if (threshold.amount.negative()) {
        return fail(Kind::invalid, "{}: '{}' is negative", name, value);
      }
    }
    thresholds.push_back(threshold);
  }
  return thresholds;
}

std::vector<std::string> default_eviction_hard() {
  return {"memory.available<100Mi", "nodefs.available<10%", "nodefs.inodesFree<5%", "imagefs.available<15%",
          "imagefs.inodesFree<5%"};
}

Pressures pressures(const std::vector<EvictionThreshold>& thresholds, const Machine& machine) {
  Pressures found;
  for (const auto& threshold : thresholds) {
    const auto level = level_of(threshold.signal, machine);
    if (level.capacity == 0 || level.available >= threshold.value(level.capacity)) {
      continue;
    }
    if (threshold.signal == EvictionSignal::memory_available) {
      found.memory = true;
    } else if (threshold.signal == EvictionSignal::pid_available) {
      found.pid = true;
    } else {
      found.disk = true;
    }
  }
  return found;
}

bool HeldPressures::held(bool now, SteadyTime when, std::optional<SteadyTime>& last) const {
  if (now) {
    last = when;
  }
  return last && when - *last < period_;
}

Pressures HeldPressures::observe(const Pressures& now, SteadyTime when) {
  return {.memory = held(now.memory, when, memory_) || now.memory,
          .disk = held(now.disk, when, disk_) || now.disk,
          .pid = held(now.pid, when, pid_) || now.pid};
}

}  // namespace keelson::agent
