// SPDX-License-Identifier: Apache-2.0
// unit_properties.h.
#include "common/cgroup/unit_properties.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "common/cgroup/hierarchy.h"
#include "common/cpu_set.h"

namespace keelson::cgroup {

namespace {

constexpr uint64_t kSecond = 1'000'000;  // microseconds
constexpr uint64_t kPercent = kSecond / 100;

using Properties = std::vector<UnitProperty>;

uint64_t or_infinity(int64_t value) {
  return value < 0 ? kInfinity : static_cast<uint64_t>(value);
}

template <class T>
bool read_number(std::string_view text, T& number) {
  const auto end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && at == end && !text.empty();
}

uint64_t per_second(int64_t quota, int64_t period) {
  const auto exact = static_cast<uint64_t>(quota) * kSecond / static_cast<uint64_t>(period);
  return (exact + kPercent - 1) / kPercent * kPercent;
}

void add_cpu(const Limits& limits, bool unified, Properties& out) {
  if (limits.cpu_shares > 0) {
    unified ? out.push_back({"CPUWeight", cpu_weight_of_shares(limits.cpu_shares)})
            : out.push_back({"CPUShares", static_cast<uint64_t>(limits.cpu_shares)});
  }
  if (limits.cpu_period > 0) {
    out.push_back({"CPUQuotaPeriodUSec", static_cast<uint64_t>(limits.cpu_period)});
  }
  if (limits.cpu_quota != 0) {
    const auto period = limits.cpu_period > 0 ? limits.cpu_period : kCpuPeriod;
    out.push_back({"CPUQuotaPerSecUSec", limits.cpu_quota < 0 ? kInfinity : per_second(limits.cpu_quota, period)});
  }
}

void add_memory(const Limits& limits, bool unified, Properties& out) {
  if (limits.memory == 0) {
    return;
  }
  out.push_back({unified ? "MemoryMax" : "MemoryLimit", or_infinity(limits.memory)});
  if (unified && limits.memory_swap != 0) {
    const bool some = limits.memory > 0 && limits.memory_swap > limits.memory;
    out.push_back({"MemorySwapMax", limits.memory_swap < 0 ? kInfinity
                                    : some                 ? static_cast<uint64_t>(limits.memory_swap - limits.memory)
                                                           : uint64_t{0}});
  }
}

Result<> add_cpuset(const Limits& limits, bool unified, Properties& out) {
  if (unified && !limits.cpuset_cpus.empty()) {  // systemd has no cpuset of v1
    KEELSON_TRY(auto bits, bits_of(limits.cpuset_cpus).context("cpuset_cpus"));
    out.push_back({"AllowedCPUs", std::move(bits)});
  }
  if (unified && !limits.cpuset_mems.empty()) {
    KEELSON_TRY(auto bits, bits_of(limits.cpuset_mems).context("cpuset_mems"));
    out.push_back({"AllowedMemoryNodes", std::move(bits)});
  }
  return {};
}

Result<> add_cpu_max(const std::string& value, Properties& out) {
  const auto parts = words(value, ' ');
  Limits limits{.cpu_quota = -1};
  if (parts.empty() || parts.size() > 2 || (parts[0] != "max" && !read_number(parts[0], limits.cpu_quota)) ||
      (parts.size() == 2 && (!read_number(parts[1], limits.cpu_period) || limits.cpu_period <= 0))) {
    return fail(Kind::invalid, "\"{}\" is no cpu.max", value);
  }
  add_cpu(limits, true, out);
  return {};
}

Result<> add_unified(const std::string& file, const std::string& value, Properties& out) {
  static const std::map<std::string_view, const char*> kNumbers = {
      {"cpu.weight", "CPUWeight"}, {"memory.high", "MemoryHigh"}, {"memory.low", "MemoryLow"},
      {"memory.max", "MemoryMax"}, {"memory.min", "MemoryMin"},   {"memory.swap.max", "MemorySwapMax"},
      {"pids.max", "TasksMax"},
  };
  if (file == "cpu.max") {
    return add_cpu_max(value, out);
  }
  if (file == "cpuset.cpus" || file == "cpuset.mems") {
    KEELSON_TRY(auto bits, bits_of(value));
    out.push_back({file == "cpuset.cpus" ? "AllowedCPUs" : "AllowedMemoryNodes", std::move(bits)});
    return {};
  }
  if (const auto known = kNumbers.find(file); known != kNumbers.end()) {
    uint64_t number = kInfinity;
    if (value != "max" && !read_number(value, number)) {
      return fail(Kind::invalid, "\"{}\" is no number", value);
    }
    out.push_back({known->second, number});
  }
  return {};  // the file alone has what systemd does not know
}

/// "c 1:3 rwm" as systemd spells the device; empty if it cannot.
std::string device_name(const std::string& type, const std::string& number) {
  const auto colon = number.find(':');
  const auto major = number.substr(0, colon);
  const auto minor = colon == std::string::npos ? "*" : number.substr(colon + 1);
  const std::string group = type == "b" ? "block" : "char";
  if (major == "*") {
    return minor == "*" ? group + "-*" : "";
  }
  return minor == "*" ? group + "-" + major : "/dev/" + group + "/" + number;
}

}  // namespace

Result<std::vector<uint8_t>> bits_of(const std::string& list) {
  KEELSON_TRY(const auto numbers, CpuSet::parse(list));
  std::vector<uint8_t> bits(numbers.empty() ? 0 : static_cast<size_t>(numbers.numbers().back()) / 8 + 1);
  for (const int bit : numbers) {
    bits[static_cast<size_t>(bit) / 8] |= static_cast<uint8_t>(1u << (bit % 8));
  }
  return bits;
}

Result<std::vector<UnitProperty>> properties_of(const Limits& limits, bool unified) {
  Properties out;
  add_cpu(limits, unified, out);
  KEELSON_DO(add_cpuset(limits, unified, out));
  add_memory(limits, unified, out);
  if (limits.processes != 0) {
    out.push_back({"TasksMax", or_infinity(limits.processes)});
  }
  if (unified) {
    for (const auto& [file, value] : limits.unified) {
      KEELSON_DO(add_unified(file, value, out).context("unified: {}", file));
    }
  }
  return out;
}

std::vector<UnitProperty> device_properties(const std::vector<std::string>& allowed) {
  using Devices = std::vector<std::pair<std::string, std::string>>;
  Devices devices;
  for (const auto& rule : allowed) {
    const auto parts = words(rule, ' ');
    if (rule == "a") {
      return {{"DeviceAllow", Devices()}, {"DevicePolicy", std::string("auto")}};
    }
    if (parts.size() != 3) {
      continue;
    }
    auto name = device_name(parts[0], parts[1]);
    if (name.empty()) {
      continue;
    }
    // The kernel adds rights up; systemd would take the last.
    auto known = std::ranges::find(devices, name, &Devices::value_type::first);
    if (known == devices.end()) {
      known = devices.insert(known, {std::move(name), ""});
    }
    for (const char right : std::string_view("rwm")) {
      if (parts[2].contains(right) && !known->second.contains(right)) {
        known->second += right;
      }
    }
  }
  // The empty list first: what follows would be added to what was there.
  return {{"DeviceAllow", Devices()}, {"DevicePolicy", std::string("strict")}, {"DeviceAllow", std::move(devices)}};
}

Limits rounded_for_systemd(Limits limits) {
  if (limits.cpu_quota > 0) {
    const auto period = limits.cpu_period > 0 ? limits.cpu_period : kCpuPeriod;
    const auto second = per_second(limits.cpu_quota, period);
    limits.cpu_quota = static_cast<int64_t>(second * static_cast<uint64_t>(period) / kSecond);
  }
  return limits;
}

}  // namespace keelson::cgroup
