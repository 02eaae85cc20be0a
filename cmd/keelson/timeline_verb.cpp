// SPDX-License-Identifier: Apache-2.0
// keelson timeline POD: where a pod's start time went.
#include <fmt/format.h>

#include <cstdio>

#include "cmd/keelson/output.h"
#include "cmd/keelson/verbs.h"

namespace keelson::cli {

namespace {

struct TimelineFlags {
  NamespaceFlags where;
  std::string pod;
  std::string output;
};

Result<int> timeline(const Session& session, const TimelineFlags& flags) {
  KEELSON_TRY(auto format, parse_format(flags.output));
  KEELSON_TRY(auto spans, session.admin().get(fmt::format("/timeline/{}/{}", percent_encode(flags.where.name),
                                                          percent_encode(flags.pod))));
  if (format == Format::json) {
    std::fputs(format_json(spans).c_str(), stdout);
    return 0;
  }
  if (format == Format::yaml) {
    std::fputs(format_yaml(spans).c_str(), stdout);
    return 0;
  }
  std::vector<std::vector<std::string>> rows = {{"SPAN", "CONTAINER", "START", "DURATION"}};
  auto milliseconds = [](int64_t micros) { return fmt::format("{:.1f}ms", static_cast<double>(micros) / 1000); };
  for (const auto& span : list_at(spans, {"spans"})) {
    rows.push_back({text_at(span, {"name"}), text_at(span, {"container"}, "-"),
                    "+" + milliseconds(number_at(span, {"startMicros"})),
                    milliseconds(number_at(span, {"durationMicros"}))});
  }
  rows.push_back({"total", "-", "", milliseconds(number_at(spans, {"totalMicros"}))});
  std::fputs(format_table(rows).c_str(), stdout);
  return 0;
}

}  // namespace

void add_timeline(CLI::App& app, Session& session) {
  auto* verb =
      app.add_subcommand("timeline", "Where a pod's start went: queue, pull, sandbox, mounts, create, start, ready");
  auto flags = std::make_shared<TimelineFlags>();
  verb->add_option("pod", flags->pod, "The pod's name")->required();
  verb->add_option("-o,--output", flags->output, "Output format: json or yaml");
  flags->where.add(*verb, false);
  verb->callback([&session, flags] { session.chosen = [&session, flags] { return timeline(session, *flags); }; });
}

}  // namespace keelson::cli
