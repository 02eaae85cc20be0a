// SPDX-License-Identifier: Apache-2.0
// keelson get services|endpoints
#include <fmt/format.h>

#include <cstdio>

#include "cmd/keelson/output.h"
#include "cmd/keelson/service_table.h"
#include "cmd/keelson/verbs.h"

namespace keelson::cli {

namespace json = boost::json;

namespace {

using TableOf = std::vector<std::vector<std::string>> (*)(const json::value&, ServiceTableOptions);

struct ListFlags {
  NamespaceFlags where;
  std::string name;
  std::string output;
  bool no_headers = false;
  bool differences = false;
};

Result<int> print_list(const Session& session, const ListFlags& flags, const std::string& what, TableOf table) {
  KEELSON_TRY(auto format, parse_format(flags.output));
  std::string target = "/" + what;
  if (!flags.name.empty()) {
    target += "/" + percent_encode(flags.where.name) + "/" + percent_encode(flags.name);
  } else if (!flags.where.all) {
    target += "?namespace=" + percent_encode(flags.where.name);
  }
  KEELSON_TRY(auto answer, session.network().get(target));
  if (format == Format::json || format == Format::yaml) {
    std::fputs((format == Format::json ? format_json(answer) : format_yaml(answer)).c_str(), stdout);
    return 0;
  }
  if (!flags.name.empty()) {
    answer = json::object{{"items", json::array{std::move(answer)}}};
  }
  if (list_at(answer, {"items"}).empty()) {
    std::fprintf(stderr, "No resources found%s.\n",
                 flags.where.all ? "" : fmt::format(" in {} namespace", flags.where.name).c_str());
    return 0;
  }
  auto rows =
      table(answer, {.wide = format == Format::wide, .namespaces = flags.where.all, .headers = !flags.no_headers});
  std::fputs(format_table(rows).c_str(), stdout);
  return 0;
}

/// As diff(1): nothing and 0 when they are equal, lines and 1 when not.
Result<int> print_differences(const Session& session) {
  KEELSON_TRY(auto answer, session.network().get("/differences"));
  const auto* synced = find(answer, {"synced"}).if_bool();
  if (synced != nullptr && !*synced) {
    return fail(Kind::unavailable, "the source has not told all it has yet; see 'keelson status'");
  }
  const auto& lines = list_at(answer, {"lines"});
  for (const auto& line : lines) {
    std::printf("%s\n", line.is_string() ? line.get_string().c_str() : "");
  }
  return lines.empty() ? 0 : 1;
}

std::shared_ptr<ListFlags> add_flags(CLI::App& verb, const char* name_help) {
  auto flags = std::make_shared<ListFlags>();
  verb.add_option("name", flags->name, name_help);
  flags->where.add(verb, true);
  verb.add_option("-o,--output", flags->output, "Output format: wide, json or yaml");
  verb.add_flag("--no-headers", flags->no_headers, "Print no header line");
  return flags;
}

}  // namespace

void add_get_services(CLI::App& get, Session& session) {
  auto* services = get.add_subcommand("services",
                                      "Services that this node routes, as kubectl get services.\n"
                                      "-o wide adds what the node makes of each: how many of its ports and families\n"
                                      "are in the kernel, its endpoints (ready/serving/terminating), new flows since\n"
                                      "it was programmed, traffic policy (internal/external) and session affinity;\n"
                                      "-o json and yaml have the same below .routing.\n"
                                      "--diff compares what is wanted with what the kernel's tables say: it prints\n"
                                      "nothing and exits with 0 when they are equal, else a line each, and 1")
                       ->alias("service")
                       ->alias("svc");
  auto flags = add_flags(*services, "One service");
  services->add_flag("--diff", flags->differences, "What the kernel has otherwise than it should, of all namespaces");
  services->callback([&session, flags] {
    session.chosen = [&session, flags] {
      return flags->differences ? print_differences(session) : print_list(session, *flags, "services", service_table);
    };
  });

  auto* endpoints = get.add_subcommand("endpoints",
                                       "Endpoints of services, as kubectl get endpoints.\n"
                                       "-o wide is a line for each endpoint and port: its state (Ready, NotReady,\n"
                                       "Terminating while it still serves, Stopped), node, zone, whether it runs on\n"
                                       "this node, and its pod")
                        ->alias("ep");
  auto shown = add_flags(*endpoints, "Those of one service");
  endpoints->callback([&session, shown] {
    session.chosen = [&session, shown] { return print_list(session, *shown, "endpoints", endpoint_table); };
  });
}

}  // namespace keelson::cli
