// SPDX-License-Identifier: Apache-2.0
// keelson ct list|flush|top
#include <fmt/format.h>

#include <cstdio>

#include "cmd/keelson/connection_table.h"
#include "cmd/keelson/output.h"
#include "cmd/keelson/verbs.h"

namespace keelson::cli {

namespace json = boost::json;

namespace {

struct ConnectionFlags {
  std::string service;
  std::string ns = "default";
  std::string client;
  std::string protocol;
  std::string output;
  bool no_headers = false;
  bool all = false;
  int64_t count = 10;
};

std::string query(const ConnectionFlags& flags) {
  std::string text = "?all=" + std::string(flags.all ? "true" : "false");
  if (!flags.service.empty()) {
    bool whole = flags.service.find('/') != std::string::npos;
    text += "&service=" + percent_encode(whole ? flags.service : flags.ns + "/" + flags.service);
  }
  text += flags.client.empty() ? "" : "&client=" + percent_encode(flags.client);
  text += flags.protocol.empty() ? "" : "&protocol=" + percent_encode(flags.protocol);
  return text;
}

/// True if that was all there is to print.
bool print_tree(Format format, const json::value& value) {
  if (format == Format::json || format == Format::yaml) {
    std::fputs((format == Format::json ? format_json(value) : format_yaml(value)).c_str(), stdout);
    return true;
  }
  return false;
}

Result<int> list(const Session& session, const ConnectionFlags& flags) {
  KEELSON_TRY(auto format, parse_format(flags.output));
  KEELSON_TRY(auto answer, session.network().get("/connections" + query(flags)));
  if (print_tree(format, answer)) {
    return 0;
  }
  if (list_at(answer, {"items"}).empty()) {
    std::fputs("No connections found.\n", stderr);
    return 0;
  }
  std::fputs(format_table(connection_table(answer, format == Format::wide, !flags.no_headers)).c_str(), stdout);
  return 0;
}

Result<int> top(const Session& session, const ConnectionFlags& flags) {
  KEELSON_TRY(auto format, parse_format(flags.output));
  KEELSON_TRY(auto answer, session.network().get(fmt::format("/connections/top?count={}", flags.count)));
  if (print_tree(format, answer)) {
    return 0;
  }
  std::printf("%lld of %lld rows in use, %lld masquerade ports\n\n",
              static_cast<long long>(number_at(answer, {"rows"})), static_cast<long long>(number_at(answer, {"of"})),
              static_cast<long long>(number_at(answer, {"masqueradePorts"})));
  std::printf("%s\n", format_table(holder_table(answer, "clients", !flags.no_headers)).c_str());
  std::fputs(format_table(holder_table(answer, "services", !flags.no_headers)).c_str(), stdout);
  return 0;
}

Result<int> flush(const Session& session, const ConnectionFlags& flags) {
  if (flags.service.empty() && flags.client.empty() && flags.protocol.empty() && !flags.all) {
    std::fputs("error: name what to forget by --service, --client or --protocol, or --all connections\n", stderr);
    return 2;
  }
  KEELSON_TRY(auto answer, session.network().post("/connections/flush" + query(flags)));
  std::printf("%lld connections forgotten\n", static_cast<long long>(number_at(answer, {"connections"})));
  return 0;
}

void add_filters(CLI::App& verb, ConnectionFlags& flags) {
  verb.add_option("--service", flags.service, "Of one service: NAME, NAMESPACE/NAME or NAMESPACE/NAME:PORT");
  verb.add_option("-n,--namespace", flags.ns, "Namespace of --service")->capture_default_str();
  verb.add_option("--client", flags.client, "Of one client: an address, or a range such as 10.0.0.0/8");
  verb.add_option("--protocol,--proto", flags.protocol, "tcp, udp or sctp");
}

void add_output(CLI::App& verb, ConnectionFlags& flags, const char* formats) {
  verb.add_option("-o,--output", flags.output, formats);
  verb.add_flag("--no-headers", flags.no_headers, "Print no header line");
}

}  // namespace

void add_ct(CLI::App& app, Session& session) {
  auto* ct =
      app.add_subcommand("ct",
                         "Connections through services, as this node's table has them.\n"
                         "A socket of the node or of its pods that was translated when it connected has no row:\n"
                         "none of its packets needs one. Reading stops nothing and changes nothing");
  ct->require_subcommand(1);
  auto flags = std::make_shared<ConnectionFlags>();
  auto choose = [&session, flags](CLI::App* verb, Result<int> (*run)(const Session&, const ConnectionFlags&)) {
    verb->callback(
        [&session, flags, run] { session.chosen = [&session, flags, run] { return run(session, *flags); }; });
  };
  auto* listed = ct->add_subcommand("list", "Each connection: its ends, TCP state, time since its last packet");
  add_filters(*listed, *flags);
  add_output(*listed, *flags, "Output format: wide, json or yaml");
  choose(listed, list);
  auto* topped = ct->add_subcommand("top", "Who holds most rows of the table and most of the node's ports");
  topped->add_option("--count", flags->count, "So many of each")->capture_default_str()->check(CLI::Range(1, 10000));
  add_output(*topped, *flags, "Output format: json or yaml");
  choose(topped, top);
  auto* flushed =
      ct->add_subcommand("flush",
                         "Forgets connections. The next packet of each begins it anew: to an endpoint that\n"
                         "may be another one, so an open TCP connection may be reset");
  add_filters(*flushed, *flags);
  flushed->add_flag("--all", flags->all, "All of them");
  choose(flushed, flush);
}

}  // namespace keelson::cli
