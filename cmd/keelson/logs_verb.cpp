// SPDX-License-Identifier: Apache-2.0
// keelson logs POD [-c CONTAINER] [-f] [-p]
#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <map>

#include "cmd/keelson/output.h"
#include "cmd/keelson/target.h"
#include "cmd/keelson/verbs.h"

namespace keelson::cli {

namespace {

struct LogFlags {
  NamespaceFlags where;
  std::string pod;
  std::string container;
  bool follow = false;
  bool previous = false;
  bool timestamps = false;
  int64_t tail = -1;
  int64_t limit_bytes = 0;
  std::string since;
};

/// "90", "90s", "5m" or "2h" as seconds.
Result<int64_t> parse_since(const std::string& text) {
  int64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string unit(end, text.data() + text.size());
  static const std::map<std::string, int64_t> kUnits = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}};
  auto found = kUnits.find(unit);
  if (error != std::errc() || number <= 0 || found == kUnits.end()) {
    return fail(Kind::invalid, "--since {}: use a duration such as 5s, 2m or 3h", text);
  }
  return number * found->second;
}

Result<int> logs(const Session& session, const LogFlags& flags) {
  KEELSON_TRY(auto container, choose_container(session, flags.where.name, flags.pod, flags.container));
  std::string target = fmt::format("/containerLogs/{}/{}/{}?", percent_encode(flags.where.name),
                                   percent_encode(flags.pod), percent_encode(container));
  target += flags.follow ? "&follow=true" : "";
  target += flags.previous ? "&previous=true" : "";
  target += flags.timestamps ? "&timestamps=true" : "";
  target += flags.tail >= 0 ? fmt::format("&tailLines={}", flags.tail) : "";
  target += flags.limit_bytes > 0 ? fmt::format("&limitBytes={}", flags.limit_bytes) : "";
  if (!flags.since.empty()) {
    KEELSON_TRY(auto seconds, parse_since(flags.since));
    target += fmt::format("&sinceSeconds={}", seconds);
  }
  KEELSON_DO(session.admin().stream(target, [](std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  }));
  return 0;
}

}  // namespace

void add_logs(CLI::App& app, Session& session) {
  auto* verb = app.add_subcommand("logs", "The output of a container, as kubectl logs");
  auto flags = std::make_shared<LogFlags>();
  verb->add_option("pod", flags->pod, "The pod's name")->required();
  verb->add_option("container,-c,--container", flags->container, "The container; needed if the pod has several");
  verb->add_flag("-f,--follow", flags->follow, "Go on as lines come, across restarts of the log file");
  verb->add_flag("-p,--previous", flags->previous, "The container's last run before this one");
  verb->add_flag("--timestamps", flags->timestamps, "Each line's time first");
  verb->add_option("--tail", flags->tail, "Only this many of the last lines");
  verb->add_option("--limit-bytes", flags->limit_bytes, "At most this many bytes");
  verb->add_option("--since", flags->since, "Only lines younger than this: 5s, 2m, 3h");
  flags->where.add(*verb, false);
  verb->callback([&session, flags] { session.chosen = [&session, flags] { return logs(session, *flags); }; });
}

}  // namespace keelson::cli
