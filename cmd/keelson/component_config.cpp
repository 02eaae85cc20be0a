// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/component_config.h"

#include "common/duration.h"

namespace keelson::cli {

std::string check_field(FieldType type, const YAML::Node& value, bool& set) {
  try {
    switch (type) {
      case FieldType::text:
        set = value.as<std::string>() != "" && value.as<std::string>() != "0" && value.as<std::string>() != "0s";
        return "";
      case FieldType::flag:
        set = value.as<bool>();
        return "";
      case FieldType::number:
        set = value.as<int64_t>() != 0;
        return "";
      case FieldType::rate:
        set = value.as<double>() != 0;
        return "";
      case FieldType::duration: {
        auto duration = parse_duration(value.as<std::string>());
        set = duration && duration->count() != 0;
        return duration ? "" : duration.error().message();
      }
      case FieldType::texts:
        set = !value.as<std::vector<std::string>>().empty();
        return "";
      case FieldType::flags:
        set = !value.as<std::map<std::string, bool>>().empty();
        return "";
      case FieldType::pairs:
        set = !value.as<std::map<std::string, std::string>>().empty();
        return "";
      case FieldType::objects:
        set = value.size() != 0;
        return value.IsSequence() || value.IsMap() ? "" : "expected a list of objects";
    }
  } catch (const YAML::Exception&) {
    constexpr const char* kExpected[] = {"a string",
                                         "true or false",
                                         "a whole number",
                                         "a number",
                                         "a duration such as 30s",
                                         "a list of strings",
                                         "names with true or false",
                                         "names with strings"};
    return fmt::format("expected {}", kExpected[static_cast<int>(type)]);
  }
  return "";
}

Result<YAML::Node> load_component(const std::string& text, ComponentFile file) {
  YAML::Node root;
  try {
    root = YAML::Load(text);
  } catch (const YAML::Exception& error) {
    return fail(Kind::invalid, "{}:{}: {}", file.name, error.mark.line + 1, error.msg);
  }
  if (!root.IsMap()) {
    return fail(Kind::invalid, "{}:1: expected a {} object", file.name, file.kind);
  }
  return root;
}

YAML::Node merge_patch(const YAML::Node& base, const YAML::Node& patch) {
  if (!patch.IsMap()) {
    return YAML::Clone(patch);
  }
  YAML::Node merged(YAML::NodeType::Map);
  if (base.IsMap()) {
    for (const auto& entry : base) {
      const auto& change = patch[entry.first.Scalar()];
      if (!change) {
        merged[entry.first.Scalar()] = YAML::Clone(entry.second);
      } else if (!change.IsNull()) {
        merged[entry.first.Scalar()] = merge_patch(entry.second, change);
      }
    }
  }
  for (const auto& entry : patch) {
    if (!entry.second.IsNull() && !(base.IsMap() && base[entry.first.Scalar()])) {
      merged[entry.first.Scalar()] = merge_patch(YAML::Node(), entry.second);
    }
  }
  return merged;
}

}  // namespace keelson::cli
