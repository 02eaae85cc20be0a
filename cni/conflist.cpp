// SPDX-License-Identifier: Apache-2.0
// Reading network configuration lists.
#include "cni/conflist.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include <boost/json/parse.hpp>

#include "cni/types.h"
#include "common/fd.h"

namespace keelson::cni {

namespace json = boost::json;

namespace {

constexpr size_t kMaxFile = 1 << 20;

int rank(const std::string& version) {
  auto found = std::find(std::begin(kVersions), std::end(kVersions), version);
  return found == std::end(kVersions) ? -1 : static_cast<int>(found - std::begin(kVersions));
}

/// The highest version that the list offers ("cniVersions") and we know; "cniVersion" counts as offered.
Result<std::string> choose_version(const json::object& list, const std::string& file) {
  std::string best;
  auto offer = [&](const json::value& value) {
    if (value.is_string() && (best.empty() || rank(std::string(value.get_string())) > rank(best)) &&
        rank(std::string(value.get_string())) >= 0) {
      best = std::string(value.get_string());
    }
  };
  if (const auto* version = list.if_contains("cniVersion")) {
    offer(*version);
  }
  if (const auto* versions = list.if_contains("cniVersions"); versions != nullptr && versions->is_array()) {
    for (const auto& version : versions->get_array()) {
      offer(version);
    }
  }
  if (best.empty()) {
    return fail(Kind::invalid, "{}: cniVersion: none that is supported (0.3.0 to {})", file, kNewestVersion);
  }
  return best;
}

bool truth(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr &&
         ((value->is_bool() && value->get_bool()) || (value->is_string() && value->get_string() == "true"));
}

Result<PluginEntry> parse_entry(const json::value& value, const std::string& file, const std::string& path) {
  const auto* object = value.if_object();
  const auto* type = object != nullptr ? object->if_contains("type") : nullptr;
  if (type == nullptr || !type->is_string() || type->get_string().empty()) {
    return fail(Kind::invalid, "{}: {}type: the plugin's name is needed", file, path);
  }
  PluginEntry entry{std::string(type->get_string()), *object, {}};
  if (entry.type.find('/') != std::string::npos) {
    return fail(Kind::invalid, "{}: {}type: '{}' is not a plugin's name", file, path, entry.type);
  }
  if (const auto* capabilities = object->if_contains("capabilities");
      capabilities != nullptr && capabilities->is_object()) {
    for (const auto& [name, wanted] : capabilities->get_object()) {
      if (wanted.is_bool() && wanted.get_bool()) {
        entry.capabilities.emplace_back(name);
      }
    }
  }
  return entry;
}

}  // namespace

Result<NetworkList> parse_network_list(const std::string& text, const std::string& file) {
  boost::system::error_code error;
  auto value = json::parse(text, error);
  if (error || !value.is_object()) {
    return fail(Kind::invalid, "{}: not a JSON object{}", file, error ? ": " + error.message() : "");
  }
  const auto& object = value.get_object();
  NetworkList list;
  KEELSON_TRY(list.version, choose_version(object, file));
  const auto* name = object.if_contains("name");
  list.name = name != nullptr && name->is_string() ? std::string(name->get_string()) : "";
  if (!valid_name(list.name)) {
    return fail(Kind::invalid, "{}: name: '{}' is not a network name", file, list.name);
  }
  list.disable_check = truth(object, "disableCheck");
  list.disable_gc = truth(object, "disableGC");
  const auto* plugins = object.if_contains("plugins");
  if (plugins == nullptr) {
    KEELSON_TRY(auto entry, parse_entry(value, file, ""));
    list.plugins.push_back(std::move(entry));
    return list;
  }
  if (!plugins->is_array() || plugins->get_array().empty()) {
    return fail(Kind::invalid, "{}: plugins: expected a list of at least one plugin", file);
  }
  for (size_t i = 0; i < plugins->get_array().size(); ++i) {
    KEELSON_TRY(auto entry, parse_entry(plugins->get_array()[i], file, fmt::format("plugins[{}].", i)));
    list.plugins.push_back(std::move(entry));
  }
  return list;
}

Result<NetworkList> load_network_list(const std::string& folder) {
  namespace fs = std::filesystem;
  std::vector<fs::path> files;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    auto extension = entry.path().extension();
    if (extension == ".conflist" || extension == ".conf" || extension == ".json") {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  std::string wrong;
  for (const auto& file : files) {
    auto text = read_file(file, kMaxFile);
    auto list = text ? parse_network_list(*text, file) : Result<NetworkList>(std::unexpected(std::move(text).error()));
    if (list) {
      return list;
    }
    wrong += (wrong.empty() ? ": " : "; ") + list.error().message();
  }
  return fail(Kind::not_found, "no network configuration in {}{}", folder, wrong);
}

}  // namespace keelson::cni
