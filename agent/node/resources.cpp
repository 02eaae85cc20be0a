// SPDX-License-Identifier: Apache-2.0
#include "agent/node/resources.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace keelson::agent {

namespace {

using kube::Quantity;

constexpr std::array<std::string_view, 4> kReservable = {"cpu", "memory", "ephemeral-storage", "pid"};
constexpr const char* kStorage = "ephemeral-storage";

Quantity bytes(int64_t count) {
  return Quantity::of(count, Quantity::Format::binary_si);
}

std::string huge_page_name(int64_t size) {
  return "hugepages-" + bytes(size).to_string();
}

/// The sum of reservations of one resource, hard eviction thresholds included.
Quantity reserved(const std::string& name, const Quantity& capacity, const Reservation& reservation) {
  Quantity sum;
  if (name == "cpu" && reservation.reserved_cpus > 0) {
    return Quantity::of(reservation.reserved_cpus);
  }
  for (const auto* list : {&reservation.system, &reservation.kube}) {
    if (const auto found = list->find(name); found != list->end()) {
      sum += found->second.of(capacity);
    }
  }
  for (const auto& threshold : reservation.eviction_hard) {
    if ((threshold.signal == EvictionSignal::memory_available && name == "memory") ||
        (threshold.signal == EvictionSignal::nodefs_available && name == kStorage)) {
      sum += bytes(threshold.value(capacity.whole()));
    }
  }
  return sum;
}

Result<ReservedAmount> parse_amount(std::string_view text) {
  if (text.ends_with('%')) {
    KEELSON_TRY(const double share, parse_share(text));
    return ReservedAmount{.amount = {}, .share = share};
  }
  KEELSON_TRY(const auto amount, Quantity::parse(text));
  if (amount.negative()) {
    return fail(Kind::invalid, "'{}' is negative", text);
  }
  return ReservedAmount{.amount = amount, .share = {}};
}

}  // namespace

Quantity ReservedAmount::of(const Quantity& capacity) const {
  if (!share) {
    return amount;
  }
  // CPUs are counted in thousandths, all else in whole bytes.
  return capacity.format() == Quantity::Format::binary_si
             ? bytes(static_cast<int64_t>(*share * static_cast<double>(capacity.whole())))
             : Quantity::of_milli(static_cast<int64_t>(*share * static_cast<double>(capacity.milli())));
}

Result<ReservedList> parse_reservation(const std::vector<std::string>& texts) {
  ReservedList list;
  for (const std::string& text : texts) {
    const size_t sign = text.find('=');
    if (sign == std::string::npos) {
      return fail(Kind::invalid, "'{}' is not RESOURCE=AMOUNT, such as memory=1Gi", text);
    }
    const auto name = text.substr(0, sign);
    if (std::ranges::find(kReservable, name) == kReservable.end()) {
      return fail(Kind::invalid, "'{}' cannot be reserved; use any of {}", name, fmt::join(kReservable, ", "));
    }
    KEELSON_TRY(auto amount, parse_amount(std::string_view(text).substr(sign + 1)).context("{}", name));
    if (!list.emplace(name, amount).second) {
      return fail(Kind::invalid, "{} is given twice", name);
    }
  }
  return list;
}

kube::ResourceList node_capacity(const Machine& machine, const PodLimits& limits) {
  kube::ResourceList capacity;
  const auto add = [&](const std::string& name, int64_t amount, Quantity quantity) {
    if (amount > 0) {
      capacity.emplace(name, quantity);
    }
  };
  add("cpu", machine.cpus, Quantity::of(machine.cpus));
  add("memory", machine.memory, bytes(machine.memory));
  add(kStorage, machine.storage, bytes(machine.storage));
  const int64_t by_core = limits.pods_per_core * machine.cpus;
  capacity["pods"] = Quantity::of(by_core > 0 ? std::min(by_core, limits.max_pods) : limits.max_pods);
  for (const auto& [size, amount] : machine.huge_pages) {
    capacity[huge_page_name(size)] = bytes(amount);
  }
  return capacity;
}

kube::ResourceList node_enforced(const kube::ResourceList& capacity, Reservation reservation) {
  reservation.eviction_hard.clear();
  kube::ResourceList enforced;
  for (const auto& [name, amount] : capacity) {
    const Quantity left = amount - reserved(name, amount, reservation);
    enforced[name] = left.negative() ? Quantity::of(0, amount.format()) : left;
  }
  return enforced;
}

kube::ResourceList amounts_of(const ReservedList& list, const kube::ResourceList& capacity) {
  kube::ResourceList amounts;
  for (const auto& [name, amount] : list) {
    const auto there = capacity.find(name);
    amounts[name] = amount.of(there == capacity.end() ? Quantity() : there->second);
  }
  return amounts;
}

kube::ResourceList node_allocatable(const kube::ResourceList& capacity, const Reservation& reservation) {
  kube::ResourceList allocatable;
  Quantity huge_pages;
  for (const auto& [name, amount] : capacity) {
    const Quantity left = amount - reserved(name, amount, reservation);
    allocatable[name] = left.negative() ? Quantity::of(0, amount.format()) : left;
    if (name.starts_with("hugepages-")) {
      huge_pages += amount;
    }
  }
  if (const auto memory = allocatable.find("memory"); memory != allocatable.end()) {
    memory->second -= huge_pages;
    if (memory->second.negative()) {
      memory->second = bytes(0);
    }
  }
  return allocatable;
}

}  // namespace keelson::agent
