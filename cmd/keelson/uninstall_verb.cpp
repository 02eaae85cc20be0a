// SPDX-License-Identifier: Apache-2.0
// keelson uninstall: what the role `network` leaves on a node, taken away.
#include <cstdio>

#include "cmd/keelson/network_options.h"
#include "cmd/keelson/node_flags.h"
#include "cmd/keelson/verbs.h"
#include "network/preflight/leftovers.h"

namespace keelson::cli {

namespace {

network::Places places_of(const NodeConfig& config) {
  return {.bpf_dir = config.bpf_dir,
          .files = {api_servers_file(config)},
          .sockets = {config.run + "/network.sock", config.run + "/admin.sock"}};
}

Result<int> uninstall(const NodeConfig& config, bool dry_run) {
  auto places = places_of(config);
  KEELSON_TRY(auto found, network::find_leftovers(places));
  for (const auto& leftover : found) {
    std::printf("%s (%s)%s\n", leftover.path.c_str(), leftover.what.c_str(), dry_run ? ", would be removed" : "");
  }
  if (found.empty()) {
    std::puts("nothing is left of services on this node");
  }
  KEELSON_DO(network::check_no_daemon(places));
  if (dry_run) {
    return 0;
  }
  KEELSON_DO(network::remove_leftovers(places, found));
  if (!found.empty()) {
    std::puts("removed");
  }
  return 0;
}

}  // namespace

void add_uninstall(CLI::App& app, Session& session) {
  auto* verb = app.add_subcommand(
      "uninstall",
      "Remove what routes services on this node when no daemon runs: programs, tables, state. Pods and images stay: "
      "`node --remove-pods-on-exit` ends them. Takes the flags of `node`");
  auto node = NodeFlags::add(*verb);
  auto dry_run = std::make_shared<bool>(false);
  verb->add_flag("--dry-run", *dry_run, "Only say what would be removed");
  verb->callback([&session, node, dry_run] {
    session.chosen = [&session, node, dry_run]() -> Result<int> {
      KEELSON_TRY(auto config, node->load(session));
      return uninstall(config, *dry_run);
    };
  });
}

}  // namespace keelson::cli
