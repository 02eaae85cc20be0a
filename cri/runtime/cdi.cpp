// SPDX-License-Identifier: Apache-2.0
#include "cri/runtime/cdi.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "common/fd.h"
#include "cri/runtime/cdi_spec.h"

namespace keelson::cri::cdi {

namespace fs = std::filesystem;
namespace v1 = ::runtime::v1;

namespace {

constexpr std::string_view kAnnotation = "cdi.k8s.io/";

void append(const Edits& from, Edits& to) {
  const auto add = [](const auto& list, auto& all) { all.insert(all.end(), list.begin(), list.end()); };
  add(from.env, to.env);
  add(from.nodes, to.nodes);
  add(from.mounts, to.mounts);
  add(from.hooks, to.hooks);
  add(from.groups, to.groups);
}

/// All that the node's vendors have described.
class Specs {
 public:
  void read(const std::string& folder) {
    std::vector<std::string> files;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      const auto extension = entry.path().extension();
      if (extension == ".json" || extension == ".yaml") {
        files.push_back(entry.path());
      }
    }
    std::ranges::sort(files);
    Devices of_folder;
    for (const auto& file : files) {
      read_one(file, of_folder);
    }
    for (auto& [name, where] : of_folder) {
      devices_[name] = std::move(where);
    }
  }

  Result<Edits> edits_of(const std::vector<std::string>& names) const {
    Edits all;
    std::vector<std::string> unresolved;
    std::set<size_t> begun;
    for (const auto& name : names) {
      const auto found = devices_.find(name);
      if (found == devices_.end() || found->second.size() != 1) {
        unresolved.push_back(name);
        continue;
      }
      const size_t at = found->second.front();
      const auto& spec = specs_[at].spec;
      if (begun.insert(at).second) {
        append(spec.edits, all);
      }
      append(spec.devices.at(name.substr(name.find('=') + 1)), all);
    }
    if (!unresolved.empty()) {
      return fail(Kind::not_found, "unresolvable CDI devices {}{}", fmt::join(unresolved, ", "), reasons(unresolved));
    }
    return all;
  }

 private:
  struct Read {
    std::string file;
    Spec spec;
  };
  using Devices = std::map<std::string, std::vector<size_t>>;  // where in specs_

  void read_one(const std::string& file, Devices& devices) {
    auto text = read_file(file);
    auto spec = text ? parse_spec(*text) : std::unexpected(text.error());
    if (!spec) {
      troubles_.push_back(fmt::format("{}: {}", file, spec.error().message()));
      return;
    }
    for (const auto& [device, edits] : spec->devices) {
      devices[spec->kind + "=" + device].push_back(specs_.size());
    }
    specs_.push_back({file, *std::move(spec)});
  }

  std::string reasons(const std::vector<std::string>& names) const {
    auto all = troubles_;
    for (const auto& name : names) {
      if (const auto found = devices_.find(name); found != devices_.end()) {
        std::vector<std::string> files;
        for (const size_t at : found->second) {
          files.push_back(specs_[at].file);
        }
        all.push_back(fmt::format("{} is described by {}", name, fmt::join(files, " and ")));
      }
    }
    return all.empty() ? "" : fmt::format(" ({})", fmt::join(all, "; "));
  }

  std::vector<Read> specs_;
  Devices devices_;
  std::vector<std::string> troubles_;
};

}  // namespace

Result<std::vector<std::string>> wanted_devices(const v1::ContainerConfig& config) {
  std::vector<std::string> names;
  const auto add = [&](const std::string& name, const std::string& where) -> Result<> {
    KEELSON_DO(parse_device_name(name).context("{}", where));
    if (std::ranges::find(names, name) == names.end()) {
      names.push_back(name);
    }
    return {};
  };
  for (const auto& device : config.cdi_devices()) {
    KEELSON_DO(add(device.name(), "CDI_devices"));
  }
  const std::map<std::string, std::string> annotations(config.annotations().begin(), config.annotations().end());
  for (const auto& [key, value] : annotations) {
    if (!key.starts_with(kAnnotation)) {
      continue;
    }
    for (size_t at = 0; at <= value.size();) {
      const size_t end = std::min(value.find(',', at), value.size());
      KEELSON_DO(add(value.substr(at, end - at), "annotation " + key));
      at = end + 1;
    }
  }
  return names;
}

Result<Edits> find_edits(const std::vector<std::string>& folders, const std::vector<std::string>& devices) {
  if (devices.empty()) {
    return Edits();
  }
  Specs specs;
  for (const auto& folder : folders) {
    specs.read(folder);
  }
  return specs.edits_of(devices);
}

}  // namespace keelson::cri::cdi
