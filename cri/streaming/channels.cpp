// SPDX-License-Identifier: Apache-2.0
// channels.h.
#include "cri/streaming/channels.h"

#include <boost/json.hpp>

namespace keelson::cri {

namespace json = boost::json;

std::optional<std::string_view> choose_protocol(std::string_view offered) {
  std::optional<std::string_view> best;
  while (!offered.empty()) {
    const auto comma = offered.find(',');
    auto name = offered.substr(0, comma);
    offered.remove_prefix(comma == std::string_view::npos ? offered.size() : comma + 1);
    while (name.starts_with(' ')) {
      name.remove_prefix(1);
    }
    while (name.ends_with(' ')) {
      name.remove_suffix(1);
    }
    if (name == kProtocolV5) {
      return kProtocolV5;
    }
    if (name == kProtocolV4) {
      best = kProtocolV4;
    }
  }
  return best;
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

std::string exit_status_json(int exit_code) {
  if (exit_code == 0) {
    return R"({"metadata":{},"status":"Success"})";
  }
  const auto code = std::to_string(exit_code);
  return json::serialize(json::value{
      {"metadata", json::object()},
      {"status", "Failure"},
      {"message", "command terminated with non-zero exit code: exit status " + code},
      {"reason", "NonZeroExitCode"},
      {"details", {{"causes", json::array{json::value{{"reason", "ExitCode"}, {"message", code}}}}}},
  });
}

std::string failure_json(std::string_view message) {
  return json::serialize(json::value{{"metadata", json::object()},
                                     {"status", "Failure"},
                                     {"message", message},
                                     {"reason", "InternalError"},
                                     {"code", 500}});
}

}  // namespace keelson::cri
