// SPDX-License-Identifier: Apache-2.0
// The checksum is of the text that Go's go-spew makes of the kubelet's structs, by FNV-1a: it tells a list that is not
// there from an empty one, and is kept so here, too.
#include "agent/devices/checkpoint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "common/base64.h"
#include "common/fnv.h"

namespace keelson::devices {

namespace json = boost::json;

namespace {

using List = std::optional<std::vector<std::string>>;

struct Entry {
  std::string pod;
  std::string container;
  std::string resource;
  std::optional<std::map<int64_t, List>> devices;
  std::optional<std::string> response;
};

/// The kubelet's file as it is.
struct Data {
  std::optional<std::vector<Entry>> entries;
  std::optional<std::map<std::string, List>> registered;
};

// ---- Checksum

constexpr std::string_view kNil = "<nil>";

std::string spew(const List& list) {
  return list ? fmt::format("[{}]", fmt::join(*list, " ")) : std::string(kNil);
}

template <class Key>
std::string spew(const std::optional<std::map<Key, List>>& map) {
  if (!map) {
    return std::string(kNil);
  }
  std::vector<std::string> parts;
  for (const auto& [key, list] : *map) {
    parts.push_back(fmt::format("{}:{}", key, spew(list)));
  }
  return fmt::format("map[{}]", fmt::join(parts, " "));
}

std::string spew(const std::optional<std::string>& bytes) {
  if (!bytes) {
    return std::string(kNil);
  }
  std::vector<unsigned> numbers;
  for (const char c : *bytes) {
    numbers.push_back(static_cast<unsigned char>(c));
  }
  return fmt::format("[{}]", fmt::join(numbers, " "));
}

std::string spew(const Entry& entry) {
  return fmt::format(
      "{{PodUID:(string){} ContainerName:(string){} ResourceName:(string){} DeviceIDs:(checkpoint.DevicesPerNUMA){} "
      "AllocResp:([]uint8){}}}",
      entry.pod, entry.container, entry.resource, spew(entry.devices), spew(entry.response));
}

uint32_t checksum(const Data& data) {
  std::string entries(kNil);
  if (data.entries) {
    std::vector<std::string> parts;
    for (const auto& entry : *data.entries) {
      parts.push_back(spew(entry));
    }
    entries = fmt::format("[{}]", fmt::join(parts, " "));
  }
  const auto text = fmt::format(
      "(checkpoint.checkpointData){{PodDeviceEntries:([]checkpoint.PodDevicesEntry){} "
      "RegisteredDevices:(map[string][]string){}}}",
      entries, spew(data.registered));
  return fnv1a_32(text);
}

// ---- Reading. What is of the wrong type is an exception of Boost.JSON's, caught in decode().

const json::value& member(const json::value& object, const char* name) {
  static const json::value kNull;
  const auto* found = object.as_object().if_contains(name);
  return found != nullptr ? *found : kNull;
}

std::string text_of(const json::value& value) {
  return value.is_null() ? std::string() : std::string(value.as_string());
}

List list_of(const json::value& value) {
  if (value.is_null()) {
    return std::nullopt;
  }
  std::vector<std::string> list;
  for (const auto& item : value.as_array()) {
    list.emplace_back(item.as_string());
  }
  return list;
}

Result<Entry> entry_of(const json::value& value) {
  Entry entry{.pod = text_of(member(value, "PodUID")),
              .container = text_of(member(value, "ContainerName")),
              .resource = text_of(member(value, "ResourceName")),
              .devices = {},
              .response = {}};
  if (const auto& devices = member(value, "DeviceIDs"); !devices.is_null()) {
    entry.devices.emplace();
    for (const auto& item : devices.as_object()) {
      const std::string_view key = item.key();
      int64_t node = 0;
      const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), node);
      if (error != std::errc() || end != key.data() + key.size()) {
        return fail(Kind::invalid, "DeviceIDs: '{}' is no NUMA node", key);
      }
      (*entry.devices)[node] = list_of(item.value());
    }
  }
  if (const auto& response = member(value, "AllocResp"); !response.is_null()) {
    KEELSON_TRY(entry.response, from_base64(text_of(response)).context("AllocResp"));
  }
  return entry;
}

Result<Data> data_of(const json::value& value) {
  Data data;
  if (const auto& entries = member(value, "PodDeviceEntries"); !entries.is_null()) {
    data.entries.emplace();
    for (const auto& item : entries.as_array()) {
      KEELSON_TRY(auto entry, entry_of(item));
      data.entries->push_back(std::move(entry));
    }
  }
  if (const auto& registered = member(value, "RegisteredDevices"); !registered.is_null()) {
    data.registered.emplace();
    for (const auto& item : registered.as_object()) {
      (*data.registered)[std::string(item.key())] = list_of(item.value());
    }
  }
  return data;
}

Result<Checkpoint> checkpoint_of(const json::value& value) {
  KEELSON_TRY(const auto data, data_of(member(value, "Data")));
  const auto& sum = member(value, "Checksum");
  if (sum.is_null() || sum.to_number<uint64_t>() != checksum(data)) {
    return fail(Kind::invalid, "its checksum is not of what it holds");
  }
  Checkpoint checkpoint;
  checkpoint.boot_id = text_of(member(value, "BootID"));
  for (const auto& entry : data.entries.value_or(std::vector<Entry>())) {
    auto& assignment = checkpoint.assigned[entry.pod][entry.container][entry.resource];
    assignment.response = entry.response.value_or("");
    for (const auto& [node, list] : entry.devices.value_or(std::map<int64_t, List>())) {
      assignment.devices[node] = list.value_or(std::vector<std::string>());
    }
  }
  for (const auto& [resource, list] : data.registered.value_or(std::map<std::string, List>())) {
    auto& ids = checkpoint.registered[resource];
    for (const auto& id : list.value_or(std::vector<std::string>())) {
      ids.insert(id);
    }
  }
  return checkpoint;
}

// ---- Writing

Data data_of(const Checkpoint& checkpoint) {
  Data data;
  for (const auto& [pod, containers] : checkpoint.assigned) {
    for (const auto& [container, resources] : containers) {
      for (const auto& [resource, assignment] : resources) {
        Entry entry{.pod = pod,
                    .container = container,
                    .resource = resource,
                    .devices = std::map<int64_t, List>(),
                    .response = assignment.response};
        for (const auto& [node, ids] : assignment.devices) {
          (*entry.devices)[node] = ids;
        }
        // Without any, Go has no list at all.
        if (!data.entries) {
          data.entries.emplace();
        }
        data.entries->push_back(std::move(entry));
      }
    }
  }
  data.registered.emplace();
  for (const auto& [resource, ids] : checkpoint.registered) {
    (*data.registered)[resource] = std::vector<std::string>(ids.begin(), ids.end());
  }
  return data;
}

json::value json_of(const List& list) {
  if (!list) {
    return nullptr;
  }
  json::array items;
  for (const auto& item : *list) {
    items.emplace_back(item);
  }
  return items;
}

json::object json_of(const Entry& entry) {
  json::object devices;
  for (const auto& [node, ids] : *entry.devices) {
    devices[std::to_string(node)] = json_of(ids);
  }
  return {{"PodUID", entry.pod},
          {"ContainerName", entry.container},
          {"ResourceName", entry.resource},
          {"DeviceIDs", std::move(devices)},
          {"AllocResp", base64_of(*entry.response)}};
}

}  // namespace

std::string encode(const Checkpoint& checkpoint) {
  const auto data = data_of(checkpoint);
  json::value entries;
  if (data.entries) {
    auto& items = entries.emplace_array();
    for (const auto& entry : *data.entries) {
      items.push_back(json_of(entry));
    }
  }
  json::object registered;
  for (const auto& [resource, list] : *data.registered) {
    registered[resource] = json_of(list);
  }
  json::object all{
      {"Data", json::object{{"PodDeviceEntries", std::move(entries)}, {"RegisteredDevices", std::move(registered)}}},
      {"Checksum", checksum(data)}};
  if (!checkpoint.boot_id.empty()) {
    all["BootID"] = checkpoint.boot_id;
  }
  return json::serialize(all);
}

Result<Checkpoint> decode(std::string_view text) {
  boost::system::error_code error;
  const auto value = json::parse({text.data(), text.size()}, error);
  if (error) {
    return fail(Kind::invalid, "it is not JSON: {}", error.message());
  }
  try {
    return checkpoint_of(value);
  } catch (const std::exception& wrong) {
    return fail(Kind::invalid, "it is not of the kubelet's form: {}", wrong.what());
  }
}

}  // namespace keelson::devices
