// SPDX-License-Identifier: Apache-2.0
// Configuration files of the stock components (kube-proxy, the kubelet), taken as they are: every field of theirs is
// known, others are told by name and line and passed over, as the components themselves do; what means nothing here is
// told by name if it asks for something. A value of the wrong type is an error.
//
// A component's table of fields says for each its type and what it does to a `Reading`, which is what the component's
// reader collects before it becomes settings.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <yaml-cpp/yaml.h>

#include "cmd/keelson/spelling.h"
#include "common/result.h"

namespace keelson::cli {

enum class FieldType { text, flag, number, rate, duration, texts, flags, pairs, objects };

/// "" or what is wrong with a value; `set`: whether it says anything (is not zero or empty).
std::string check_field(FieldType type, const YAML::Node& value, bool& set);

template <class Reading>
struct ComponentField {
  const char* name;  ///< "iptables.masqueradeAll"
  FieldType type;
  void (*apply)(Reading& reading, const YAML::Node& value);  ///< None: means nothing here,
  const char* why;                                           ///< because. Empty, without `apply`: nobody needs to know.
  const char* usual = "";                                    ///< The value that asks for nothing, beside zero.
  bool counts_when_zero = false;                             ///< 0, false or "" say something, too.
};

struct ComponentFile {
  const char* api_version;
  const char* kind;
  const std::string& name;  ///< For messages.
};

/// Reads one file. Afterwards wrong() has every fault, a line each, and notes() what was not known or not applied.
template <class Reading>
class ComponentParser {
 public:
  using Field = ComponentField<Reading>;

  ComponentParser(ComponentFile file, std::span<const Field> fields, Reading& reading)
      : file_(file), fields_(fields), reading_(reading) {}

  void run(const YAML::Node& root) {
    if (!root["kind"] || root["kind"].Scalar() != file_.kind || !root["apiVersion"] ||
        root["apiVersion"].Scalar() != file_.api_version) {
      complain(root, fmt::format("expected apiVersion: {} and kind: {}", file_.api_version, file_.kind));
    }
    walk(root, "");
  }

  const std::string& wrong() const { return wrong_; }
  std::vector<std::string>& notes() { return notes_; }

 private:
  void complain(const YAML::Node& at, const std::string& what) {
    wrong_ += fmt::format("{}{}:{}: {}", wrong_.empty() ? "" : "\n", file_.name, at.Mark().line + 1, what);
  }

  void walk(const YAML::Node& map, const std::string& prefix) {
    for (const auto& entry : map) {
      auto key = entry.first.Scalar();
      auto name = prefix + key;
      if (prefix.empty() && (key == "kind" || key == "apiVersion")) {
        continue;
      }
      const auto field = std::ranges::find_if(fields_, [&](const Field& known) { return name == known.name; });
      if (field != fields_.end()) {
        read(*field, entry.first, entry.second);
      } else if (!is_section(name)) {
        notes_.push_back(fmt::format("{}:{}: {}: unknown field, passed over{}", file_.name, entry.first.Mark().line + 1,
                                     name, nearest(key, prefix)));
      } else if (entry.second.IsMap()) {
        walk(entry.second, name + ".");
      } else if (!entry.second.IsNull()) {
        complain(entry.first, fmt::format("{}: expected an object", name));
      }
    }
  }

  bool is_section(const std::string& name) const {
    return std::ranges::any_of(
        fields_, [&](const Field& known) { return std::string_view(known.name).starts_with(name + "."); });
  }

  std::string nearest(const std::string& key, const std::string& prefix) const {
    std::vector<std::string_view> names;
    for (const auto& known : fields_) {
      std::string_view name = known.name;
      if (name.starts_with(prefix)) {
        names.push_back(name.substr(prefix.size(), name.find('.', prefix.size()) - prefix.size()));
      }
    }
    return did_you_mean(key, names);
  }

  void read(const Field& field, const YAML::Node& key, const YAML::Node& value) {
    if (value.IsNull()) {
      return;
    }
    bool set = false;
    if (auto bad = check_field(field.type, value, set); !bad.empty()) {
      complain(key, fmt::format("{}: {}", field.name, bad));
    } else if (field.apply != nullptr && (set || field.counts_when_zero)) {
      field.apply(reading_, value);
    } else if (field.apply == nullptr && *field.why != '\0' && (set || field.counts_when_zero) &&
               !(value.IsScalar() && value.Scalar() == field.usual)) {
      notes_.push_back(fmt::format("{}: {}: {} is not applied: {}", file_.name, field.name,
                                   value.IsScalar() ? value.Scalar() : "...", field.why));
    }
  }

  ComponentFile file_;
  std::span<const Field> fields_;
  Reading& reading_;
  std::string wrong_;
  std::vector<std::string> notes_;
};

/// The object that a file has. Kind::invalid: it has none.
Result<YAML::Node> load_component(const std::string& text, ComponentFile file);

/// `base` with what `patch` says in its place: objects by their fields, null takes a field away, all else is replaced
/// (RFC 7386, as the kubelet merges its drop-in files).
YAML::Node merge_patch(const YAML::Node& base, const YAML::Node& patch);

/// The whole of it: Kind::invalid lists every fault. What was not known or not applied is added to `notes`.
template <class Reading>
Result<> read_component(const YAML::Node& root, ComponentFile file, std::span<const ComponentField<Reading>> fields,
                        Reading& reading, std::vector<std::string>& notes) {
  ComponentParser<Reading> parser(file, fields, reading);
  parser.run(root);
  if (!parser.wrong().empty()) {
    return std::unexpected(Error(Kind::invalid, parser.wrong()));
  }
  notes.insert(notes.end(), parser.notes().begin(), parser.notes().end());
  return {};
}

/// The same from a file's text.
template <class Reading>
Result<> read_component(const std::string& text, ComponentFile file, std::span<const ComponentField<Reading>> fields,
                        Reading& reading, std::vector<std::string>& notes) {
  KEELSON_TRY(const auto root, load_component(text, file));
  return read_component<Reading>(root, file, fields, reading, notes);
}

}  // namespace keelson::cli
