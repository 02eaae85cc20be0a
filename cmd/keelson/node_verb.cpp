// SPDX-License-Identifier: Apache-2.0
// keelson node, keelson config show
#include <cstdio>

#include "cmd/keelson/node.h"
#include "cmd/keelson/verbs.h"
#include "common/fd.h"

namespace keelson::cli {

namespace {

struct NodeFlags {
  std::string file;
  NodeConfig flags;  ///< what the flags say
  std::vector<std::pair<CLI::Option*, const Setting*>> options;
};

/// The file's values, over them the flags that were given, over them the flags that every verb has.
Result<NodeConfig> load_config(const Session& session, const NodeFlags& node) {
  NodeConfig config;
  if (!node.file.empty()) {
    KEELSON_TRY(auto text, read_file(node.file));
    KEELSON_TRY(config, parse_config(text, node.file, config));
  }
  for (const auto& [option, setting] : node.options) {
    if (option->count() > 0) {
      std::visit([&](auto field) { config.*field = node.flags.*field; }, setting->field);
    }
  }
  config.run = session.run_dir;
  config.cri_socket = session.runtime_socket;
  KEELSON_DO(check_config(config));
  return config;
}

std::shared_ptr<NodeFlags> add_flags(CLI::App& verb) {
  auto node = std::make_shared<NodeFlags>();
  verb.add_option("--config", node->file, "A KeelsonConfiguration file (YAML); flags override it")
      ->check(CLI::ExistingFile);
  for (const auto& setting : settings()) {
    CLI::Option* option = nullptr;
    if (const auto* text = std::get_if<std::string NodeConfig::*>(&setting.field)) {
      option = verb.add_option(setting.flag, node->flags.*(*text), setting.help);
    } else if (const auto* flag = std::get_if<bool NodeConfig::*>(&setting.field)) {
      option = verb.add_flag(setting.flag, node->flags.*(*flag), setting.help);
    } else {
      option =
          verb.add_option(setting.flag, node->flags.*std::get<std::vector<std::string> NodeConfig::*>(setting.field),
                          setting.help)
              ->delimiter(',');
    }
    node->options.emplace_back(option, &setting);
  }
  return node;
}

}  // namespace

void add_node(CLI::App& app, Session& session) {
  auto* verb =
      app.add_subcommand("node", "The daemon: runs the pods of a folder of manifests, and the runtime under them");
  auto node = add_flags(*verb);
  verb->callback([&session, node] {
    session.chosen = [&session, node]() -> Result<int> {
      KEELSON_TRY(auto config, load_config(session, *node));
      return run_node(config);
    };
  });
  auto* config = app.add_subcommand("config", "The node's configuration");
  config->require_subcommand(1);
  auto* show =
      config->add_subcommand("show", "The configuration that `keelson node` with the same flags would run with");
  auto shown = add_flags(*show);
  show->callback([&session, shown] {
    session.chosen = [&session, shown]() -> Result<int> {
      KEELSON_TRY(auto loaded, load_config(session, *shown));
      std::fputs(format_config(loaded).c_str(), stdout);
      return 0;
    };
  });
}

}  // namespace keelson::cli
