// SPDX-License-Identifier: Apache-2.0
// keelson get: pods, containers, images here; services and endpoints in get_services.cpp
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "cmd/keelson/output.h"
#include "cmd/keelson/pod_table.h"
#include "cmd/keelson/runtime_lists.h"
#include "cmd/keelson/verbs.h"

namespace keelson::cli {

namespace json = boost::json;

namespace {

struct GetFlags {
  NamespaceFlags where;
  std::string name;
  std::string output;
  bool no_headers = false;
};

Result<int> get_pods(const Session& session, const GetFlags& flags) {
  KEELSON_TRY(auto format, parse_format(flags.output));
  KEELSON_TRY(auto list, session.admin().get("/pods"));
  json::array kept;
  for (const auto& pod : list_at(list, {"items"})) {
    bool here = flags.where.all || text_at(pod, {"metadata", "namespace"}) == flags.where.name;
    if (here && (flags.name.empty() || text_at(pod, {"metadata", "name"}) == flags.name)) {
      kept.push_back(pod);
    }
  }
  if (!flags.name.empty() && kept.empty()) {
    return fail(Kind::not_found, "pods \"{}\" not found in namespace {}", flags.name, flags.where.name);
  }
  if (format == Format::json || format == Format::yaml) {
    json::value shown = flags.name.empty() ? list : kept.front();
    if (flags.name.empty()) {
      shown.as_object()["items"] = kept;
    }
    std::fputs((format == Format::json ? format_json(shown) : format_yaml(shown)).c_str(), stdout);
    return 0;
  }
  if (kept.empty()) {
    std::fprintf(stderr, "No resources found%s.\n",
                 flags.where.all ? "" : fmt::format(" in {} namespace", flags.where.name).c_str());
    return 0;
  }
  json::object shown{{"items", kept}};
  PodTableOptions options{.wide = format == Format::wide, .namespaces = flags.where.all, .headers = !flags.no_headers};
  std::fputs(format_table(pod_table(shown, options)).c_str(), stdout);
  return 0;
}

void add_output(CLI::App& verb, GetFlags& flags) {
  verb.add_option("-o,--output", flags.output, "Output format: wide, json or yaml");
  verb.add_flag("--no-headers", flags.no_headers, "Print no header line");
}

}  // namespace

void add_get(CLI::App& app, Session& session) {
  auto* get = app.add_subcommand("get", "List pods, containers, images, services or endpoints");
  get->require_subcommand(1);
  auto flags = std::make_shared<GetFlags>();

  auto* pods = get->add_subcommand("pods", "Pods of this node with their status, as kubectl get pods")
                   ->alias("pod")
                   ->alias("po");
  pods->add_option("name", flags->name, "One pod");
  flags->where.add(*pods, true);
  add_output(*pods, *flags);
  pods->callback([&session, flags] { session.chosen = [&session, flags] { return get_pods(session, *flags); }; });

  auto* containers = get->add_subcommand("containers", "Containers of the runtime, running or not")->alias("container");
  add_output(*containers, *flags);
  containers->callback([&session, flags] {
    session.chosen = [&session, flags] {
      return print_containers(session.runtime(), flags->output, !flags->no_headers);
    };
  });

  auto* images = get->add_subcommand("images", "Images in the runtime's store")->alias("image");
  add_output(*images, *flags);
  images->callback([&session, flags] {
    session.chosen = [&session, flags] { return print_images(session.runtime(), flags->output, !flags->no_headers); };
  });
  add_get_services(*get, session);
}

}  // namespace keelson::cli
