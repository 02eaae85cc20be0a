// SPDX-License-Identifier: Apache-2.0
// keelson events [-n NS | -A] [--for pod/NAME]
#include <fmt/format.h>

#include <cstdio>

#include "cmd/keelson/describe.h"
#include "cmd/keelson/output.h"
#include "cmd/keelson/verbs.h"

namespace keelson::cli {

namespace {

struct EventFlags {
  NamespaceFlags where;
  std::string object;
  std::string output;
};

Result<int> events(const Session& session, const EventFlags& flags) {
  KEELSON_TRY(auto format, parse_format(flags.output));
  std::string target = "/events?";
  if (!flags.where.all) {
    target += "namespace=" + percent_encode(flags.where.name);
  }
  if (!flags.object.empty()) {
    auto slash = flags.object.find('/');
    target += "&name=" + percent_encode(slash == std::string::npos ? flags.object : flags.object.substr(slash + 1));
  }
  KEELSON_TRY(auto list, session.admin().get(target));
  if (format == Format::json) {
    std::fputs(format_json(list).c_str(), stdout);
  } else if (format == Format::yaml) {
    std::fputs(format_yaml(list).c_str(), stdout);
  } else {
    std::fputs(format_events(list, flags.where.all).c_str(), stdout);
  }
  return 0;
}

}  // namespace

void add_events(CLI::App& app, Session& session) {
  auto* verb = app.add_subcommand("events", "What happened, oldest first, as kubectl events");
  auto flags = std::make_shared<EventFlags>();
  flags->where.add(*verb, true);
  verb->add_option("--for", flags->object, "Only events of this object: pod/NAME");
  verb->add_option("-o,--output", flags->output, "Output format: wide, json or yaml");
  verb->callback([&session, flags] { session.chosen = [&session, flags] { return events(session, *flags); }; });
}

}  // namespace keelson::cli
