// SPDX-License-Identifier: Apache-2.0
// keelson flows [-f] [--drop]
#include <fmt/format.h>

#include <cstdio>

#include <boost/json/parse.hpp>

#include "cmd/keelson/flow_line.h"
#include "cmd/keelson/output.h"
#include "cmd/keelson/verbs.h"

namespace keelson::cli {

namespace {

struct FlowFlags {
  bool follow = false;
  bool drop = false;
  int64_t last = -1;
  std::string output;
};

/// Whole lines of what comes in pieces.
class Lines {
 public:
  explicit Lines(bool json) : json_(json) {}
  void take(std::string_view piece) {
    rest_ += piece;
    for (size_t end; (end = rest_.find('\n')) != rest_.npos; rest_.erase(0, end + 1)) {
      print(rest_.substr(0, end));
    }
    std::fflush(stdout);
  }

 private:
  void print(const std::string& line) const {
    boost::system::error_code error;
    auto event = boost::json::parse(line, error);
    std::printf("%s\n", json_ || error ? line.c_str() : flow_line(event).c_str());
  }
  bool json_;
  std::string rest_;
};

Result<int> flows(const Session& session, const FlowFlags& flags) {
  if (!flags.output.empty() && flags.output != "json") {
    return fail(Kind::invalid,
                "unable to match a printer suitable for the output format \"{}\", allowed formats are: json",
                flags.output);
  }
  int64_t last = flags.last >= 0 ? flags.last : flags.follow ? 0 : 20;
  Lines lines(flags.output == "json");
  KEELSON_DO(session.network().stream(fmt::format("/flows?follow={}&drop={}&last={}", flags.follow, flags.drop, last),
                                      [&lines](std::string_view piece) { lines.take(piece); }));
  return 0;
}

}  // namespace

void add_flows(CLI::App& app, Session& session) {
  auto* verb =
      app.add_subcommand("flows",
                         "What becomes of packets to services, as hubble observe: time (UTC), verdict, source,\n"
                         "destination, service, endpoint or reason; pods by name where EndpointSlices tell it.\n"
                         "Without -f the last drops and rejects, and flows that began while somebody followed:\n"
                         "the node tells of new flows only then");
  auto flags = std::make_shared<FlowFlags>();
  verb->add_flag("-f,--follow", flags->follow, "Go on as they come");
  verb->add_flag("--drop", flags->drop, "Only what was dropped or rejected");
  verb->add_option("--last", flags->last, "So many of the last ones first (default: 20; with -f 0; at most 1000)")
      ->check(CLI::Range(0, 1000));
  verb->add_option("-o,--output", flags->output, "json: a line of JSON each");
  verb->callback([&session, flags] { session.chosen = [&session, flags] { return flows(session, *flags); }; });
}

}  // namespace keelson::cli
