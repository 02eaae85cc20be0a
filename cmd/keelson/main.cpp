// SPDX-License-Identifier: Apache-2.0
// keelson: the node daemon and its command line. Exit codes: 0 done, 1 failed, 2 wrong usage.
#include <algorithm>
#include <cstdio>

#include "cmd/keelson/arguments.h"
#include "cmd/keelson/verbs.h"

namespace keelson::cli {

void NamespaceFlags::add(CLI::App& verb, bool with_all) {
  verb.add_option("-n,--namespace", name, "Namespace")->capture_default_str();
  if (with_all) {
    verb.add_flag("-A,--all-namespaces", all, "Every namespace");
  }
}

namespace {

int run(int argc, char** argv) {
  Session session;
  CLI::App app(
      "Keelson: a Kubernetes node in one small system.\n"
      "The daemon runs the pods of a folder of manifests; every other verb asks it.",
      "keelson");
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", "keelson " KEELSON_VERSION);
  app.add_option("--run", session.run_dir, "The node's runtime folder, where its sockets are")->capture_default_str();
  app.add_option("--admin-socket", session.admin_socket, "The node's admin socket (default: <run>/admin.sock)");
  app.add_option("--network-socket", session.network_socket,
                 "The socket of the role network (default: <run>/network.sock)");
  app.add_option("--cri-socket", session.runtime_socket, "The runtime's CRI socket (default: <run>/cri.sock)");
  add_node(app, session);
  add_get(app, session);
  add_describe(app, session);
  add_logs(app, session);
  add_exec(app, session);
  add_events(app, session);
  add_timeline(app, session);
  add_status(app, session);
  add_ct(app, session);
  add_flows(app, session);
  add_why(app, session);
  add_image(app, session);
  add_compare(app, session);
  add_check(app, session);
  add_uninstall(app, session);
  auto words = arguments({argv + std::min(argc, 1), static_cast<size_t>(std::max(argc - 1, 0))}, app);
  if (!words) {
    std::fprintf(stderr, "%s\nRun with --help for more information.\n", words.error().message().c_str());
    return 2;
  }
  try {
    parse(app, *std::move(words));
  } catch (const CLI::ParseError& error) {
    int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  auto outcome = session.chosen();
  if (!outcome) {
    std::fprintf(stderr, "error: %s\n", outcome.error().message().c_str());
    return 1;
  }
  return *outcome;
}

}  // namespace
}  // namespace keelson::cli

int main(int argc, char** argv) {
  return keelson::cli::run(argc, argv);
}
