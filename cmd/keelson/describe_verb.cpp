// SPDX-License-Identifier: Apache-2.0
// keelson describe pod NAME
#include <fmt/format.h>

#include <cstdio>

#include "cmd/keelson/describe.h"
#include "cmd/keelson/output.h"
#include "cmd/keelson/verbs.h"

namespace keelson::cli {

namespace {

Result<int> describe(const Session& session, const std::string& space, const std::string& name) {
  KEELSON_TRY(auto list, session.admin().get("/pods"));
  for (const auto& pod : list_at(list, {"items"})) {
    if (text_at(pod, {"metadata", "namespace"}) == space && text_at(pod, {"metadata", "name"}) == name) {
      KEELSON_TRY(auto events, session.admin().get(fmt::format("/events?namespace={}&name={}", percent_encode(space),
                                                               percent_encode(name))));
      std::fputs(describe_pod(pod, events).c_str(), stdout);
      return 0;
    }
  }
  return fail(Kind::not_found, "pods \"{}\" not found in namespace {}", name, space);
}

}  // namespace

void add_describe(CLI::App& app, Session& session) {
  auto* verb = app.add_subcommand("describe", "All about one pod, with its events");
  verb->require_subcommand(1);
  auto* pod = verb->add_subcommand("pod", "A pod")->alias("pods")->alias("po");
  auto where = std::make_shared<NamespaceFlags>();
  auto name = std::make_shared<std::string>();
  pod->add_option("name", *name, "The pod's name")->required();
  where->add(*pod, false);
  pod->callback([&session, where, name] {
    session.chosen = [&session, where, name] { return describe(session, where->name, *name); };
  });
}

}  // namespace keelson::cli
