// SPDX-License-Identifier: Apache-2.0
// keelson why A B:PORT
#include <fmt/format.h>

#include <cstdio>

#include "cmd/keelson/explanation.h"
#include "cmd/keelson/output.h"
#include "cmd/keelson/verbs.h"

namespace keelson::cli {

namespace {

struct WhyFlags {
  std::string from;
  std::string to;
  std::string protocol = "tcp";
  std::string output;
};

Result<int> why(const Session& session, const WhyFlags& flags) {
  KEELSON_TRY(auto format, parse_format(flags.output));
  auto colon = flags.to.rfind(':');
  auto host = flags.to.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  }
  if (colon == flags.to.npos || colon + 1 == flags.to.size() ||
      (host.find(':') != host.npos && flags.to[colon - 1] != ']')) {
    std::fprintf(stderr, "error: \"%s\" has no port: give ADDRESS:PORT, or [ADDRESS]:PORT for IPv6\n",
                 flags.to.c_str());
    return 2;
  }
  KEELSON_TRY(auto answer,
              session.network().get(fmt::format("/why?from={}&to={}&port={}&protocol={}", percent_encode(flags.from),
                                                percent_encode(host), percent_encode(flags.to.substr(colon + 1)),
                                                percent_encode(flags.protocol))));
  if (format == Format::json || format == Format::yaml) {
    std::fputs((format == Format::json ? format_json(answer) : format_yaml(answer)).c_str(), stdout);
  } else {
    std::fputs(format_explanation(answer).c_str(), stdout);
  }
  return 0;
}

}  // namespace

void add_why(CLI::App& app, Session& session) {
  auto* verb =
      app.add_subcommand("why",
                         "What would happen to a new flow from A to B:PORT, and why: the service, who decides,\n"
                         "the verdict with its reason, endpoints and which of them it is (*, where that is\n"
                         "certain), the source that the endpoint sees, and connections that exist already.\n"
                         "No packet is sent. An address that is neither this node's nor, as EndpointSlices\n"
                         "tell, of a pod on it counts as outside; say \"pod\" where it is one");
  auto flags = std::make_shared<WhyFlags>();
  verb->add_option("A", flags->from, "ADDRESS, ADDRESS:PORT, \"pod\", \"node\" or \"outside\"")->required();
  verb->add_option("B", flags->to, "ADDRESS:PORT of a service")->required();
  verb->add_option("--protocol,--proto", flags->protocol, "tcp, udp or sctp")->capture_default_str();
  verb->add_option("-o,--output", flags->output, "Output format: json or yaml");
  verb->callback([&session, flags] { session.chosen = [&session, flags] { return why(session, *flags); }; });
}

}  // namespace keelson::cli
