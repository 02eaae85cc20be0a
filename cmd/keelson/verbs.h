// SPDX-License-Identifier: Apache-2.0
// The CLI's verbs: each adds itself to the command line and, when chosen, leaves what to run in `chosen`.
#pragma once

#include <functional>
#include <string>

#include <CLI/CLI.hpp>

#include "cmd/keelson/admin_client.h"
#include "common/result.h"

namespace keelson::cli {

/// What every verb shares, filled by the global flags before a verb runs.
struct Session {
  std::string run_dir = "/run/keelson";
  std::string admin_socket;             ///< empty: <run_dir>/admin.sock
  std::string network_socket;           ///< empty: <run_dir>/network.sock
  std::string runtime_socket;           ///< empty: <run_dir>/cri.sock
  std::function<Result<int>()> chosen;  ///< the verb to run; its value is the exit code

  AdminClient admin() const { return AdminClient(admin_socket.empty() ? run_dir + "/admin.sock" : admin_socket); }
  /// The role network's own, so that it can be asked where nothing else of the node is ours.
  AdminClient network() const {
    return AdminClient(network_socket.empty() ? run_dir + "/network.sock" : network_socket,
                       "'keelson node --roles network', or name its socket with --network-socket");
  }
  std::string runtime() const { return runtime_socket.empty() ? run_dir + "/cri.sock" : runtime_socket; }
};

/// "-n/--namespace", "default" unless given, and "-A/--all-namespaces".
struct NamespaceFlags {
  std::string name = "default";
  bool all = false;
  void add(CLI::App& verb, bool with_all);
};

void add_node(CLI::App& app, Session& session);
void add_get(CLI::App& app, Session& session);
void add_get_services(CLI::App& get, Session& session);
void add_describe(CLI::App& app, Session& session);
void add_logs(CLI::App& app, Session& session);
void add_exec(CLI::App& app, Session& session);
void add_events(CLI::App& app, Session& session);
void add_timeline(CLI::App& app, Session& session);
void add_status(CLI::App& app, Session& session);
void add_ct(CLI::App& app, Session& session);
void add_flows(CLI::App& app, Session& session);
void add_why(CLI::App& app, Session& session);
void add_image(CLI::App& app, Session& session);
void add_compare(CLI::App& app, Session& session);
void add_check(CLI::App& app, Session& session);
void add_uninstall(CLI::App& app, Session& session);

}  // namespace keelson::cli
