// SPDX-License-Identifier: Apache-2.0
// keelson node, keelson config show
#include <cstdio>

#include "cmd/keelson/node.h"
#include "cmd/keelson/node_flags.h"
#include "cmd/keelson/verbs.h"

namespace keelson::cli {

void add_node(CLI::App& app, Session& session) {
  auto* verb =
      app.add_subcommand("node", "The daemon: runs the pods of a folder of manifests, and the runtime under them");
  auto node = NodeFlags::add(*verb);
  verb->callback([&session, node] {
    session.chosen = [&session, node]() -> Result<int> {
      KEELSON_TRY(auto config, node->load(session));
      return run_node(config);
    };
  });
  auto* config = app.add_subcommand("config", "The node's configuration");
  config->require_subcommand(1);
  auto* show =
      config->add_subcommand("show", "The configuration that `keelson node` with the same flags would run with");
  auto shown = NodeFlags::add(*show);
  show->callback([&session, shown] {
    session.chosen = [&session, shown]() -> Result<int> {
      KEELSON_TRY(auto loaded, shown->load(session));
      std::fputs(format_config(loaded).c_str(), stdout);
      return 0;
    };
  });
}

}  // namespace keelson::cli
