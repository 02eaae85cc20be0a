// SPDX-License-Identifier: Apache-2.0
// keelson compare: what the services of this node would do, beside what kube-proxy's rules do. Changes nothing.
#include <chrono>
#include <cstdio>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "cmd/keelson/network_options.h"
#include "cmd/keelson/node_flags.h"
#include "cmd/keelson/output.h"
#include "cmd/keelson/verbs.h"
#include "network/shadow.h"

namespace keelson::cli {

namespace json = boost::json;

namespace {

constexpr auto kPatience = std::chrono::seconds(60);

void print_json(const std::vector<network::Difference>& differences) {
  json::array all;
  for (const auto& one : differences) {
    all.push_back(json::object{{"service", one.service},
                               {"destination", one.destination},
                               {"from", one.from},
                               {"ours", one.ours},
                               {"kubeProxy", one.theirs}});
  }
  std::fputs(format_json(json::object{{"differences", std::move(all)}}).c_str(), stdout);
}

void print_table(const std::vector<network::Difference>& differences, size_t services) {
  if (differences.empty()) {
    std::printf("%zu services: kube-proxy's rules do the same\n", services);
    return;
  }
  std::vector<std::vector<std::string>> rows = {{"SERVICE", "DESTINATION", "FROM", "OURS", "KUBE-PROXY"}};
  for (const auto& one : differences) {
    rows.push_back({one.service.empty() ? "<none>" : one.service, one.destination, one.from, one.ours, one.theirs});
  }
  std::fputs(format_table(rows).c_str(), stdout);
}

Result<int> compare(const NodeConfig& config, Format format) {
  KEELSON_TRY(auto options, network_options(config, node_name(config)));
  KEELSON_TRY(auto wanted, network::wanted_services(options, kPatience));
  KEELSON_TRY(auto differences, network::compare_with_kube_proxy(wanted.model, wanted.nodes, options.router.node_name));
  format == Format::json ? print_json(differences) : print_table(differences, wanted.model.services.size());
  return differences.empty() ? 0 : 1;
}

}  // namespace

void add_compare(CLI::App& app, Session& session) {
  add_node_verb(app, session,
                {.name = "compare",
                 .help = "What this node's services would do, beside what kube-proxy's rules do; exit 1 if they "
                         "differ.",
                 .run = compare});
}

}  // namespace keelson::cli
