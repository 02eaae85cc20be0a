// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/node_flags.h"

#include <sys/sysinfo.h>

#include <algorithm>

#include <yaml-cpp/yaml.h>

#include "cmd/keelson/feature_gates.h"
#include "cmd/keelson/kubelet_config.h"
#include "cmd/keelson/proxy_config.h"
#include "common/fd.h"

namespace keelson::cli {

namespace {

/// What the file calls itself; empty: nothing.
std::string kind_of(const std::string& text) {
  try {
    const YAML::Node root = YAML::Load(text);
    return root.IsMap() && root["kind"] && root["kind"].IsScalar() ? root["kind"].Scalar() : "";
  } catch (const YAML::Exception&) {
    return "";  // said by who reads all of it
  }
}

Result<> read_into(const std::string& file, std::vector<ConfigText>& texts) {
  if (!file.empty()) {
    KEELSON_TRY(auto text, read_file(file));
    texts.push_back({.name = file, .text = std::move(text)});
  }
  return {};
}

}  // namespace

Result<NodeFlags::FromFiles> NodeFlags::read_files() const {
  NodeConfig config;
  std::vector<ConfigText> own, proxys, kubelets;
  KEELSON_DO(read_into(file, own));
  const auto kind = own.empty() ? "" : kind_of(own.front().text);
  if (kind == "KubeletConfiguration" || kind == "KubeProxyConfiguration") {
    // As these programs take it, by --config.
    (kind == "KubeletConfiguration" ? kubelets : proxys).swap(own);
  }
  KEELSON_DO(read_into(proxy_file, proxys));
  KEELSON_DO(read_into(kubelet_file, kubelets));
  for (const auto* given : {&proxys, &kubelets}) {
    if (given->size() > 1) {
      return fail(Kind::invalid, "{} and {}: one of them is to be given, not both", given->front().name,
                  given->back().name);
    }
  }
  if (!drop_ins.empty()) {
    KEELSON_TRY(auto changes, read_drop_ins(drop_ins).context("--config-dir"));
    kubelets.insert(kubelets.end(), changes.begin(), changes.end());
  }
  for (const auto& [name, text] : proxys) {
    KEELSON_TRY(config, parse_proxy_config(text, name, config, ::get_nprocs()));
  }
  if (!kubelets.empty()) {
    KEELSON_TRY(config, parse_kubelet_config(kubelets, config));
  }
  for (const auto& [name, text] : own) {
    KEELSON_TRY(config, parse_config(text, name, config));
  }
  if (const auto fields = kubelet.fields(); !fields.empty()) {
    KEELSON_TRY(config, parse_kubelet_config(fields, config));
  }
  config.as_kubelet = !kubelets.empty();
  return FromFiles{.config = std::move(config), .as_proxy = !proxys.empty()};
}

Result<NodeConfig> NodeFlags::load(const Session& session) const {
  KEELSON_TRY(auto files, read_files());
  NodeConfig& config = files.config;
  kubelet.apply(config);
  for (const auto& [option, setting] : options) {
    if (option->count() > 0) {
      std::visit([&](auto field) { config.*field = flags.*field; }, setting->field);
      if (const auto* list = std::get_if<std::vector<std::string> NodeConfig::*>(&setting->field)) {
        std::erase(config.*(*list), "");  // `--flag=` is the empty list
      }
    }
  }
  if (files.as_proxy && config.network_kubeconfig.empty() && config.kubeconfig.empty() && config.manifest_dir.empty()) {
    config.network_kubeconfig = "in-cluster";  // as kube-proxy
  }
  config.run = session.run_dir;
  if (!config.image_socket.empty() && std::ranges::find(config.roles, "runtime") != config.roles.end()) {
    config.notes.push_back("imageServiceEndpoint: " + config.image_socket +
                           " is not applied: this daemon is the runtime (roles)");
    config.image_socket.clear();
  }
  if (!session.runtime_socket.empty()) {
    config.cri_socket = session.runtime_socket;
  } else if (!config.cri_socket.empty() && std::ranges::find(config.roles, "runtime") != config.roles.end()) {
    config.notes.push_back("containerRuntimeEndpoint: " + config.cri_socket +
                           " is not applied: this daemon is the runtime (roles)");
    config.cri_socket.clear();
  }
  note_gates(config);
  KEELSON_DO(check_config(config));
  return std::move(config);
}

std::shared_ptr<NodeFlags> NodeFlags::add(CLI::App& verb) {
  auto node = std::make_shared<NodeFlags>();
  verb.add_option("--config", node->file,
                  "A KeelsonConfiguration file (YAML), or one of the two below; flags override it")
      ->check(CLI::ExistingFile);
  verb.add_option("--proxy-config", node->proxy_file,
                  "Role network: a KubeProxyConfiguration file (YAML), as kube-proxy takes it; --config and flags "
                  "override it")
      ->check(CLI::ExistingFile);
  verb.add_option(
          "--kubelet-config", node->kubelet_file,
          "Role agent: a KubeletConfiguration file (YAML), as the kubelet takes it; --config and flags override "
          "it")
      ->check(CLI::ExistingFile);
  verb.add_option(
          "--config-dir", node->drop_ins,
          "Role agent: a folder of KubeletConfigurations, *.conf, that change that file one after the other, by name")
      ->check(CLI::ExistingDirectory);
  node->kubelet.add(verb);
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
              ->delimiter(',')
              ->allow_extra_args(false);
    }
    node->options.emplace_back(option, &setting);
  }
  return node;
}

void add_node_verb(CLI::App& app, Session& session, const NodeVerb& verb) {
  auto* added = app.add_subcommand(verb.name, verb.help + " Takes the flags of `node`. Changes nothing");
  auto node = NodeFlags::add(*added);
  auto output = std::make_shared<std::string>();
  added->add_option("-o,--output", *output, "Output format: json");
  added->callback([&session, node, output, run = verb.run] {
    session.chosen = [&session, node, output, run]() -> Result<int> {
      KEELSON_TRY(auto format, parse_format(*output));
      KEELSON_TRY(auto config, node->load(session));
      return run(config, format);
    };
  });
}

}  // namespace keelson::cli
