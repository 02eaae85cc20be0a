// SPDX-License-Identifier: Apache-2.0
// keelson exec POD [-c CONTAINER] [-it] -- COMMAND...
#include <fmt/format.h>

#include "cmd/keelson/output.h"
#include "cmd/keelson/remote_command.h"
#include "cmd/keelson/target.h"
#include "cmd/keelson/verbs.h"

namespace keelson::cli {

namespace {

struct ExecFlags {
  NamespaceFlags where;
  std::string pod;
  std::string container;
  bool input = false;
  bool tty = false;
  std::vector<std::string> command;
};

Result<int> exec(const Session& session, const ExecFlags& flags) {
  KEELSON_TRY(auto container, choose_container(session, flags.where.name, flags.pod, flags.container));
  std::string target = fmt::format("/exec/{}/{}/{}?stdin={}&tty={}", percent_encode(flags.where.name),
                                   percent_encode(flags.pod), percent_encode(container), flags.input, flags.tty);
  for (const auto& word : flags.command) {
    target += "&command=" + percent_encode(word);
  }
  KEELSON_TRY(auto answer, session.admin().post(target));
  return run_remote(text_at(answer, {"url"}), {.input = flags.input, .tty = flags.tty});
}

}  // namespace

void add_exec(CLI::App& app, Session& session) {
  auto* verb =
      app.add_subcommand("exec", "Run a command in a container, as kubectl exec: keelson exec POD [-it] -- COMMAND...");
  auto flags = std::make_shared<ExecFlags>();
  verb->add_option("pod", flags->pod, "The pod's name")->required();
  verb->add_option("command", flags->command, "The command and its arguments, after --")->required();
  verb->add_option("-c,--container", flags->container, "The container; the first if not given");
  verb->add_flag("-i,--stdin", flags->input, "Pass our standard input");
  verb->add_flag("-t,--tty", flags->tty, "Give it a terminal");
  flags->where.add(*verb, false);
  verb->callback([&session, flags] { session.chosen = [&session, flags] { return exec(session, *flags); }; });
}

}  // namespace keelson::cli
