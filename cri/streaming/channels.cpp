// SPDX-License-Identifier: Apache-2.0
// channels.h.
#include "cri/streaming/channels.h"

#include <algorithm>

#include <boost/json.hpp>

namespace keelson::cri {

namespace json = boost::json;

std::vector<std::string_view> names_in(std::string_view offered) {
  std::vector<std::string_view> names;
  while (!offered.empty()) {
    const auto comma = offered.find(',');
    auto one = offered.substr(0, comma);
    offered.remove_prefix(comma == std::string_view::npos ? offered.size() : comma + 1);
    while (one.starts_with(' ')) {
      one.remove_prefix(1);
    }
    while (one.ends_with(' ')) {
      one.remove_suffix(1);
    }
    if (!one.empty()) {
      names.push_back(one);
    }
  }
  return names;
}

std::optional<std::string_view> choose_protocol(std::string_view offered) {
  const auto names = names_in(offered);
  for (const auto name : {kProtocolV5, kProtocolV4}) {
    if (std::ranges::find(names, name) != names.end()) {
      return name;
    }
  }
  return std::nullopt;
}

Result<TerminalSize> parse_resize(std::string_view text) {
  boost::system::error_code error;
  const auto value = json::parse(text, error);
  const auto side = [&](std::string_view key) -> std::optional<uint16_t> {
    const auto* number = value.is_object() ? value.get_object().if_contains(key) : nullptr;
    if (!number || !number->is_int64() || number->get_int64() < 0 || number->get_int64() > UINT16_MAX) {
      return std::nullopt;
    }
    return static_cast<uint16_t>(number->get_int64());
  };
  const auto width = error ? std::nullopt : side("Width");
  const auto height = error ? std::nullopt : side("Height");
  if (!width || !height) {
    return fail(Kind::invalid, "resize: want {{\"Width\":..,\"Height\":..}}");
  }
  return TerminalSize{*width, *height};
}

std::string ending_text(const Result<int>& ending) {
  if (!ending) {
    return ending.error().message();
  }
  return *ending == 0 ? "" : "command terminated with non-zero exit code: exit status " + std::to_string(*ending);
}

std::string ending_json(const Result<int>& ending) {
  if (!ending) {
    return json::serialize(json::value{{"metadata", json::object()},
                                       {"status", "Failure"},
                                       {"message", ending_text(ending)},
                                       {"reason", "InternalError"},
                                       {"code", 500}});
  }
  if (*ending == 0) {
    return R"({"metadata":{},"status":"Success"})";
  }
  const auto code = std::to_string(*ending);
  return json::serialize(json::value{
      {"metadata", json::object()},
      {"status", "Failure"},
      {"message", ending_text(ending)},
      {"reason", "NonZeroExitCode"},
      {"details", {{"causes", json::array{json::value{{"reason", "ExitCode"}, {"message", code}}}}}},
  });
}

}  // namespace keelson::cri
