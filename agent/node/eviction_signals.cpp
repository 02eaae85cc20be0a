// SPDX-License-Identifier: Apache-2.0
#include "agent/node/eviction_signals.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <ranges>
#include <utility>

#include "common/duration.h"

namespace keelson::agent {

namespace {

constexpr std::array<std::pair<EvictionSignal, std::string_view>, 9> kSignals = {
    {{EvictionSignal::memory_available, "memory.available"},
     {EvictionSignal::allocatable_memory, "allocatableMemory.available"},
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
      return {machine.storage, machine.storage_available};
    case EvictionSignal::nodefs_inodes_free:
      return {machine.inodes, machine.inodes_free};
    // What pods take, and where the runtime has its images, is not the machine's to tell: the agent's evictor does.
    case EvictionSignal::allocatable_memory:
    case EvictionSignal::imagefs_available:
    case EvictionSignal::imagefs_inodes_free:
    case EvictionSignal::containerfs_available:
    case EvictionSignal::containerfs_inodes_free:
      return {};
    case EvictionSignal::pid_available:
      return {machine.processes, machine.processes_available};
  }
  return {};
}

/// The part before `sign` names a signal; no signal twice. `form`: how a text should look.
Result<std::vector<std::pair<EvictionSignal, std::string_view>>> parse_pairs(const std::vector<std::string>& texts,
                                                                             char sign, std::string_view form) {
  std::vector<std::pair<EvictionSignal, std::string_view>> pairs;
  for (const std::string& text : texts) {
    const size_t at = text.find(sign);
    if (at == std::string::npos) {
      return fail(Kind::invalid, "'{}' is not {}", text, form);
    }
    const auto name = std::string_view(text).substr(0, at);
    const auto* known = std::ranges::find(kSignals, name, [](const auto& entry) { return entry.second; });
    if (known == kSignals.end() || known->first == EvictionSignal::allocatable_memory) {
      auto names = kSignals | std::views::values |
                   std::views::filter([](auto one) { return one != to_string(EvictionSignal::allocatable_memory); });
      return fail(Kind::invalid, "'{}': there is no signal {}; use one of {}", text, name, fmt::join(names, ", "));
    }
    if (std::ranges::find(pairs, known->first, [](const auto& pair) { return pair.first; }) != pairs.end()) {
      return fail(Kind::invalid, "{} is given twice", name);
    }
    pairs.emplace_back(known->first, std::string_view(text).substr(at + 1));
  }
  return pairs;
}

/// "100Mi" or "10%".
Result<EvictionAmount> parse_amount(std::string_view text) {
  if (text.ends_with('%')) {
    KEELSON_TRY(const double share, parse_share(text));
    return EvictionAmount{.amount = {}, .share = share};
  }
  KEELSON_TRY(const auto amount, kube::Quantity::parse(text));
  if (amount.negative()) {
    return fail(Kind::invalid, "'{}' is negative", text);
  }
  return EvictionAmount{.amount = amount, .share = {}};
}

Result<std::map<EvictionSignal, Duration>> parse_graces(const std::vector<std::string>& texts) {
  KEELSON_TRY(const auto pairs, parse_pairs(texts, '=', "SIGNAL=DURATION, such as memory.available=1m30s"));
  std::map<EvictionSignal, Duration> graces;
  for (const auto& [signal, text] : pairs) {
    KEELSON_TRY(graces[signal], parse_duration(text).context("{}", to_string(signal)));
  }
  return graces;
}

Result<std::map<EvictionSignal, EvictionAmount>> parse_reclaims(const std::vector<std::string>& texts) {
  KEELSON_TRY(const auto pairs, parse_pairs(texts, '=', "SIGNAL=AMOUNT, such as nodefs.available=1Gi"));
  std::map<EvictionSignal, EvictionAmount> reclaims;
  for (const auto& [signal, text] : pairs) {
    KEELSON_TRY(reclaims[signal], parse_amount(text).context("{}", to_string(signal)));
  }
  return reclaims;
}

}  // namespace

Result<double> parse_share(std::string_view text) {
  double percent = 0;
  const char* const last = text.data() + text.size() - (text.ends_with('%') ? 1 : 0);
  const auto [end, error] = std::from_chars(text.data(), last, percent);
  if (!text.ends_with('%') || error != std::errc() || end != last || !(percent >= 0 && percent <= 100)) {
    return fail(Kind::invalid, "'{}' is not a percentage from 0% to 100%", text);
  }
  return percent / 100;
}

std::string_view to_string(EvictionSignal signal) {
  const auto* known = std::ranges::find(kSignals, signal, [](const auto& entry) { return entry.first; });
  return known != kSignals.end() ? known->second : std::string_view();
}

int64_t EvictionAmount::value(int64_t capacity) const {
  return share ? static_cast<int64_t>(*share * static_cast<double>(capacity)) : amount.whole();
}

Result<std::vector<EvictionThreshold>> parse_thresholds(const std::vector<std::string>& texts) {
  std::vector<EvictionThreshold> thresholds;
  KEELSON_TRY(const auto pairs, parse_pairs(texts, '<', "SIGNAL<AMOUNT, such as memory.available<100Mi"));
  for (const auto& [signal, text] : pairs) {
    KEELSON_TRY(const auto amount, parse_amount(text).context("{}", to_string(signal)));
    if (amount.share && (*amount.share == 0 || *amount.share == 1)) {
      continue;
    }
    thresholds.push_back({amount, signal, Duration(0), std::nullopt});
  }
  return thresholds;
}

Result<std::vector<EvictionThreshold>> parse_eviction(const EvictionTexts& texts) {
  KEELSON_TRY(auto thresholds, parse_thresholds(texts.hard).context("evictionHard"));
  KEELSON_TRY(auto soft, parse_thresholds(texts.soft).context("evictionSoft"));
  KEELSON_TRY(const auto graces, parse_graces(texts.soft_grace).context("evictionSoftGracePeriod"));
  KEELSON_TRY(const auto reclaims, parse_reclaims(texts.minimum_reclaim).context("evictionMinimumReclaim"));
  for (auto& threshold : soft) {
    const auto grace = graces.find(threshold.signal);
    if (grace == graces.end()) {
      return fail(Kind::invalid, "evictionSoft: {} has no grace period; give one by evictionSoftGracePeriod",
                  to_string(threshold.signal));
    }
    threshold.grace = grace->second;
    thresholds.push_back(threshold);
  }
  for (auto& threshold : thresholds) {
    if (const auto found = reclaims.find(threshold.signal); found != reclaims.end()) {
      threshold.minimum_reclaim = found->second;
    }
  }
  const auto memory = std::ranges::find_if(thresholds, [](const EvictionThreshold& threshold) {
    return threshold.signal == EvictionSignal::memory_available && threshold.hard();
  });
  if (memory != thresholds.end()) {
    auto of_pods = *memory;
    of_pods.signal = EvictionSignal::allocatable_memory;
    thresholds.push_back(of_pods);
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
