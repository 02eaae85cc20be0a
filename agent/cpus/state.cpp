// SPDX-License-Identifier: Apache-2.0
#include "agent/cpus/state.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "common/atomic_file.h"
#include "common/fd.h"
#include "common/fnv.h"

namespace keelson::cpus {

namespace {

namespace json = boost::json;
using Texts = std::map<std::string, std::map<std::string, std::string>>;

/// As it stands in the file.
struct Written {
  std::string policy;
  std::string shared;
  Texts entries;
};

/// The kubelet's: FNV-1a of 32 bits over what Go's spew says of the struct with a checksum of 0
/// (checkpointmanager/checksum, apimachinery's dump.ForHash).
uint32_t checksum_of(const Written& written) {
  std::string entries;
  for (const auto& [pod, containers] : written.entries) {
    std::string list;
    for (const auto& [container, cpus] : containers) {
      list += fmt::format("{}{}:{}", list.empty() ? "" : " ", container, cpus);
    }
    entries += fmt::format("{}{}:map[{}]", entries.empty() ? "" : " ", pod, list);
  }
  const auto text = fmt::format(
      "(*state.CPUManagerCheckpoint){{PolicyName:(string){} DefaultCPUSet:(string){} "
      "Entries:(map[string]map[string]string)map[{}] Checksum:(checksum.Checksum)0}}",
      written.policy, written.shared, entries);
  return fnv1a_32(text);
}

Written written_of(const CpuState& state) {
  Written written{.policy = state.policy, .shared = state.shared.to_string(), .entries = {}};
  for (const auto& [pod, containers] : state.own) {
    for (const auto& [container, cpus] : containers) {
      written.entries[pod][container] = cpus.to_string();
    }
  }
  return written;
}

Result<std::string> text_in(const json::object& object, const char* key) {
  const auto* value = object.if_contains(key);
  if (value == nullptr || !value->is_string()) {
    return fail(Kind::invalid, "{}: expected a string", key);
  }
  return std::string(value->get_string());
}

Result<Texts> entries_in(const json::object& object) {
  Texts entries;
  const auto* pods = object.if_contains("entries");
  if (pods == nullptr) {
    return entries;
  }
  if (!pods->is_object()) {
    return fail(Kind::invalid, "entries: expected an object");
  }
  for (const auto& [pod, containers] : pods->get_object()) {
    if (!containers.is_object()) {
      return fail(Kind::invalid, "entries: {}: expected an object", std::string(pod));
    }
    auto& entry = entries[pod];
    for (const auto& [container, cpus] : containers.get_object()) {
      if (!cpus.is_string()) {
        return fail(Kind::invalid, "entries: {}: {}: expected a string", std::string(pod), std::string(container));
      }
      entry[container] = cpus.get_string();
    }
  }
  return entries;
}

}  // namespace

std::string format_state(const CpuState& state) {
  const auto written = written_of(state);
  json::object out{{"policyName", written.policy}, {"defaultCpuSet", written.shared}};
  if (!written.entries.empty()) {
    json::object pods;
    for (const auto& [pod, containers] : written.entries) {
      json::object lists;
      for (const auto& [container, cpus] : containers) {
        lists[container] = cpus;
      }
      pods[pod] = std::move(lists);
    }
    out["entries"] = std::move(pods);
  }
  out["checksum"] = checksum_of(written);
  return json::serialize(out);
}

Result<CpuState> parse_state(const std::string& text) {
  boost::system::error_code error;
  const auto root = json::parse(text, error);
  if (error || !root.is_object()) {
    return fail(Kind::invalid, "it is no JSON object");
  }
  const auto& object = root.get_object();
  Written written;
  KEELSON_TRY(written.policy, text_in(object, "policyName"));
  KEELSON_TRY(written.shared, text_in(object, "defaultCpuSet"));
  KEELSON_TRY(written.entries, entries_in(object));
  const auto* sum = object.if_contains("checksum");
  const auto told = sum != nullptr && sum->is_number() ? sum->to_number<uint64_t>(error) : 0;
  if (error || (told != 0 && told != checksum_of(written))) {
    return fail(Kind::invalid, "checkpoint is corrupted: its checksum is not that of what it says");
  }
  CpuState state{.policy = written.policy, .shared = {}, .own = {}};
  KEELSON_TRY(state.shared, CpuSet::parse(written.shared).context("could not parse default cpu set"));
  for (const auto& [pod, containers] : written.entries) {
    for (const auto& [container, list] : containers) {
      KEELSON_TRY(
          state.own[pod][container],
          CpuSet::parse(list).context("could not parse cpuset for container \"{}\" in pod \"{}\"", container, pod));
    }
  }
  return state;
}

Result<std::optional<CpuState>> load_state(const std::string& file) {
  const auto text = read_file(file);
  if (!text && text.error().kind() == Kind::not_found) {
    return std::optional<CpuState>();
  }
  KEELSON_TRY(const auto known, text);
  KEELSON_TRY(auto state, parse_state(known));
  return std::optional(std::move(state));
}

Result<> save_state(const std::string& file, const CpuState& state) {
  return write_file_atomic(file, format_state(state), 0600, Durability::power);
}

}  // namespace keelson::cpus
