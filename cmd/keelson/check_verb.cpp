// SPDX-License-Identifier: Apache-2.0
// keelson check: would the role `network` work here? Before anything is installed.
#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "cmd/keelson/network_options.h"
#include "cmd/keelson/node_flags.h"
#include "cmd/keelson/output.h"
#include "cmd/keelson/verbs.h"
#include "network/preflight/preflight.h"

namespace keelson::cli {

namespace json = boost::json;

namespace {

void print_json(const std::vector<network::Finding>& findings, bool good) {
  json::array checks;
  for (const auto& finding : findings) {
    checks.push_back(json::object{{"name", finding.subject},
                                  {"result", network::to_string(finding.outcome)},
                                  {"found", finding.text},
                                  {"advice", finding.advice}});
  }
  std::fputs(format_json(json::object{{"ok", good}, {"checks", std::move(checks)}}).c_str(), stdout);
}

void print_table(const std::vector<network::Finding>& findings) {
  std::vector<std::vector<std::string>> rows = {{"CHECK", "RESULT", "FOUND"}};
  for (const auto& finding : findings) {
    rows.push_back({finding.subject, std::string(network::to_string(finding.outcome)), finding.text});
    if (!finding.advice.empty()) {
      rows.push_back({"", "", "-> " + finding.advice});
    }
  }
  std::fputs(format_table(rows).c_str(), stdout);
}

Result<int> check(const NodeConfig& config, Format format) {
  std::vector<network::ListeningPort> ports;
  KEELSON_TRY(auto healthz, bind_address(config.healthz_bind_address, kHealthzPort));
  KEELSON_TRY(auto metrics, bind_address(config.metrics_bind_address, kMetricsPort));
  if (healthz) {
    ports.push_back({*healthz, "health checks"});
  }
  if (metrics) {
    ports.push_back({*metrics, "metrics"});
  }
  auto findings = network::preflight({.bpf_dir = config.bpf_dir,
                                      .socket_cgroup = config.socket_cgroup,
                                      .links = {.uplinks = config.uplinks, .xdp = config.xdp},
                                      .ports = std::move(ports),
                                      .kubeconfig = network_kubeconfig(config)});
  bool good =
      std::ranges::none_of(findings, [](const auto& finding) { return finding.outcome == network::Outcome::failed; });
  format == Format::json ? print_json(findings, good) : print_table(findings);
  return good ? 0 : 1;
}

}  // namespace

void add_check(CLI::App& app, Session& session) {
  add_node_verb(app, session,
                {.name = "check", .help = "Whether this node can route services, tried for real.", .run = check});
}

}  // namespace keelson::cli
