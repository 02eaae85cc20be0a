// SPDX-License-Identifier: Apache-2.0
#include "cri/runtime/cdi_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <string_view>

#include <yaml-cpp/yaml.h>

namespace keelson::cri::cdi {

namespace {

constexpr std::array<std::string_view, 7> kVersions = {"0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0"};
constexpr std::array<std::string_view, 6> kHooks = {"prestart",       "createRuntime", "createContainer",
                                                    "startContainer", "poststart",     "poststop"};

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_alnum(char c) {
  return is_letter(c) || (c >= '0' && c <= '9');
}

/// Letters, digits and `more`, with a letter or digit at the end.
bool is_word(std::string_view text, std::string_view more) {
  return !text.empty() && is_alnum(text.back()) &&
         std::ranges::all_of(text, [&](char c) { return is_alnum(c) || more.find(c) != std::string_view::npos; });
}

bool is_kind(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) {
    return false;
  }
  const auto vendor = text.substr(0, slash);
  const auto of_class = text.substr(slash + 1);
  return is_word(vendor, "_-.") && is_letter(vendor.front()) && is_word(of_class, "_-.") && is_letter(of_class.front());
}

bool is_device(std::string_view text) {
  return is_word(text, "_-.:") && is_alnum(text.front());
}

// ---- Reading. The first thing that is wrong ends it, by this exception, which parse_spec() catches.

struct Wrong {
  std::string what;
};

/// A node of the document, and where it is.
struct Field {
  YAML::Node node;
  std::string path;

  [[noreturn]] void wrong(std::string_view why) const { throw Wrong{fmt::format("{}: {}", path, why)}; }

  std::string text() const {
    if (!node.IsScalar()) {
      wrong("not a text");
    }
    return node.Scalar();
  }
  template <class T>
  T number() const {
    try {
      return node.as<T>();
    } catch (const YAML::Exception&) {
      wrong("not a number in its range");
    }
  }
  std::vector<Field> items() const {
    if (!node.IsSequence() && !node.IsNull()) {
      wrong("not a list");
    }
    std::vector<Field> all;
    for (size_t i = 0; i < node.size(); ++i) {
      all.push_back({node[i], fmt::format("{}[{}]", path, i)});
    }
    return all;
  }
  std::vector<std::string> texts() const {
    std::vector<std::string> all;
    for (const auto& item : items()) {
      all.push_back(item.text());
    }
    return all;
  }
  /// Each member goes to its reader; one without a reader is an error, as is one that is there twice.
  void members(const std::map<std::string, std::function<void(const Field&)>>& readers) const {
    if (!node.IsMap()) {
      wrong("not an object");
    }
    std::map<std::string, bool> seen;
    for (const auto& member : node) {
      const auto name = member.first.Scalar();
      const Field field{member.second, path.empty() ? name : path + "." + name};
      const auto reader = readers.find(name);
      if (reader == readers.end()) {
        field.wrong("unknown field");
      }
      if (std::exchange(seen[name], true)) {
        field.wrong("is there twice");
      }
      reader->second(field);
    }
  }
};

using Reader = std::function<void(const Field&)>;

Reader into(std::string& text) {
  return [&text](const Field& field) { text = field.text(); };
}
template <class T>
Reader into(std::optional<T>& number) {
  return [&number](const Field& field) { number = field.number<T>(); };
}
Reader into(std::vector<std::string>& texts) {
  return [&texts](const Field& field) { texts = field.texts(); };
}
void pass_over(const Field&) {}

void need_path(const Field& field, const std::string& name, const std::string& value) {
  if (!value.starts_with('/')) {
    field.wrong(fmt::format("{} is not an absolute path: \"{}\"", name, value));
  }
}

DeviceNode node_of(const Field& field) {
  DeviceNode out;
  field.members({{"path", into(out.path)},
                 {"hostPath", into(out.host_path)},
                 {"type", into(out.type)},
                 {"major", into(out.major)},
                 {"minor", into(out.minor)},
                 {"fileMode", into(out.mode)},
                 {"permissions", into(out.permissions)},
                 {"uid", into(out.uid)},
                 {"gid", into(out.gid)}});
  need_path(field, "path", out.path);
  if (!out.type.empty() && (out.type.size() != 1 || std::string_view("bcup").find(out.type) == std::string::npos)) {
    field.wrong(fmt::format("type is none of b, c, u, p: \"{}\"", out.type));
  }
  if (out.permissions.empty()) {
    out.permissions = "rwm";
  }
  if (out.permissions.find_first_not_of("rwm") != std::string::npos) {
    field.wrong(fmt::format("permissions are not of r, w, m: \"{}\"", out.permissions));
  }
  return out;
}

Mount mount_of(const Field& field) {
  Mount out;
  field.members({{"hostPath", into(out.host_path)},
                 {"containerPath", into(out.container_path)},
                 {"options", into(out.options)},
                 {"type", into(out.type)}});
  need_path(field, "containerPath", out.container_path);
  if (out.host_path.empty()) {
    field.wrong("hostPath is empty");
  }
  return out;
}

Hook hook_of(const Field& field) {
  Hook out;
  field.members({{"hookName", into(out.name)},
                 {"path", into(out.path)},
                 {"args", into(out.args)},
                 {"env", into(out.env)},
                 {"timeout", into(out.timeout)}});
  if (std::ranges::find(kHooks, out.name) == kHooks.end()) {
    field.wrong(fmt::format("hookName is none of OCI's: \"{}\"", out.name));
  }
  need_path(field, "path", out.path);
  return out;
}

Edits edits_of(const Field& field) {
  Edits out;
  field.members({{"env",
                  [&](const Field& env) {
                    for (const auto& item : env.items()) {
                      out.env.push_back(item.text());
                      if (out.env.back().find('=') == std::string::npos || out.env.back().starts_with('=')) {
                        item.wrong("not NAME=value");
                      }
                    }
                  }},
                 {"deviceNodes",
                  [&](const Field& nodes) {
                    for (const auto& item : nodes.items()) {
                      out.nodes.push_back(node_of(item));
                    }
                  }},
                 {"mounts",
                  [&](const Field& mounts) {
                    for (const auto& item : mounts.items()) {
                      out.mounts.push_back(mount_of(item));
                    }
                  }},
                 {"hooks",
                  [&](const Field& hooks) {
                    for (const auto& item : hooks.items()) {
                      out.hooks.push_back(hook_of(item));
                    }
                  }},
                 {"additionalGids", [&](const Field& groups) {
                    for (const auto& item : groups.items()) {
                      out.groups.push_back(item.number<uint32_t>());
                    }
                  }}});
  return out;
}

void add_device(const Field& field, Spec& spec) {
  std::string name;
  Edits edits;
  field.members({{"name", into(name)}, {"annotations", pass_over}, {"containerEdits", [&](const Field& of_device) {
                                                                      edits = edits_of(of_device);
                                                                    }}});
  if (!is_device(name)) {
    field.wrong(fmt::format("invalid device name \"{}\"", name));
  }
  if (!spec.devices.emplace(name, std::move(edits)).second) {
    field.wrong(fmt::format("device \"{}\" is there twice", name));
  }
}

Spec spec_of(const Field& document) {
  Spec spec;
  std::string version;
  document.members({{"cdiVersion", into(version)},
                    {"kind", into(spec.kind)},
                    {"annotations", pass_over},
                    {"containerEdits", [&](const Field& edits) { spec.edits = edits_of(edits); }},
                    {"devices", [&](const Field& devices) {
                       for (const auto& device : devices.items()) {
                         add_device(device, spec);
                       }
                     }}});
  if (version.starts_with('v')) {
    version.erase(0, 1);
  }
  if (std::ranges::find(kVersions, version) == kVersions.end()) {
    throw Wrong{fmt::format("cdiVersion: \"{}\" is not known", version)};
  }
  if (!is_kind(spec.kind)) {
    throw Wrong{fmt::format("kind: \"{}\" is not vendor.com/class", spec.kind)};
  }
  if (spec.devices.empty()) {
    throw Wrong{"devices: there is none"};
  }
  return spec;
}

}  // namespace

/// JSON is YAML.
Result<Spec> parse_spec(const std::string& text) {
  try {
    return spec_of({YAML::Load(text), ""});
  } catch (const Wrong& wrong) {
    return fail(Kind::invalid, "{}", wrong.what);
  } catch (const YAML::Exception& wrong) {
    return fail(Kind::invalid, "{}", wrong.what());
  }
}

Result<DeviceName> parse_device_name(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || !is_kind(text.substr(0, equals)) || !is_device(text.substr(equals + 1))) {
    return fail(Kind::invalid, "invalid CDI device name \"{}\": it is not vendor.com/class=name", text);
  }
  return DeviceName{.kind = text.substr(0, equals), .device = text.substr(equals + 1)};
}

}  // namespace keelson::cri::cdi
