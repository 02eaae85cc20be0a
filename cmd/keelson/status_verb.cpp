// SPDX-License-Identifier: Apache-2.0
// keelson status [--wait] : the node at a glance.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "cmd/keelson/network_status.h"
#include "cmd/keelson/output.h"
#include "cmd/keelson/pod_table.h"
#include "cmd/keelson/verbs.h"

namespace keelson::cli {

namespace {

struct StatusFlags {
  bool wait = false;
  std::string output;
  int64_t timeout = 120;
};

std::string start_duration(const Session& session, const boost::json::value& pod) {
  auto spans =
      session.admin().get(fmt::format("/timeline/{}/{}", percent_encode(text_at(pod, {"metadata", "namespace"})),
                                      percent_encode(text_at(pod, {"metadata", "name"}))));
  if (!spans || number_at(*spans, {"totalMicros"}) == 0) {
    return "-";
  }
  return fmt::format("{:.0f}ms", static_cast<double>(number_at(*spans, {"totalMicros"})) / 1000);
}

/// Whether each pod has come to rest: all its containers ready, or the pod at its end.
bool settled(const boost::json::value& list) {
  for (const auto& pod : list_at(list, {"items"})) {
    auto row = pod_row(pod);
    auto phase = text_at(pod, {"status", "phase"});
    auto slash = row.ready.find('/');
    bool ready = row.ready.substr(0, slash) == row.ready.substr(slash + 1);
    if (phase != "Succeeded" && phase != "Failed" && !(phase == "Running" && ready)) {
      return false;
    }
  }
  return true;
}

void print_pods(const Session& session, const boost::json::value& list) {
  std::vector<std::vector<std::string>> rows = {
      {"NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "IP", "STARTED", "START TOOK"}};
  for (const auto& pod : list_at(list, {"items"})) {
    auto row = pod_row(pod);
    rows.push_back({text_at(pod, {"metadata", "namespace"}), text_at(pod, {"metadata", "name"}), row.ready, row.status,
                    row.restarts, row.ip, text_at(pod, {"status", "startTime"}, "-"), start_duration(session, pod)});
  }
  std::fputs(format_table(rows).c_str(), stdout);
}

/// What each role of the node says; a role that does not answer is not there.
struct Answers {
  Result<boost::json::value> pods;
  Result<boost::json::value> network;

  explicit Answers(const Session& session)
      : pods(session.admin().get("/pods")), network(session.network().get("/status")) {}
  bool settled() const {
    const auto* synced = network ? find(*network, {"synced"}).if_bool() : nullptr;
    bool routed = synced != nullptr && *synced;
    return pods ? cli::settled(*pods) && (!network || routed) : routed;
  }
};

void print_all(const Session& session, const Answers& node, Format format) {
  if (format == Format::json || format == Format::yaml) {
    boost::json::object all;
    if (node.pods) {
      all["pods"] = *node.pods;
    }
    if (node.network) {
      all["network"] = *node.network;
    }
    std::fputs((format == Format::json ? format_json(all) : format_yaml(all)).c_str(), stdout);
    return;
  }
  if (node.pods) {
    print_pods(session, *node.pods);
  }
  if (node.network) {
    std::printf("%s%s", node.pods ? "\n" : "", format_network_status(*node.network).c_str());
  }
}

Result<int> status(const Session& session, const StatusFlags& flags) {
  KEELSON_TRY(auto format, parse_format(flags.output));
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(flags.timeout);
  for (;;) {
    Answers node(session);
    if (!flags.wait || node.settled()) {
      if (!node.pods && !node.network) {
        return std::unexpected(std::move(node.pods).error());
      }
      print_all(session, node, format);
      return 0;
    }
    if (std::chrono::steady_clock::now() >= end) {
      return fail(Kind::timeout,
                  "not every pod was ready, or the network not in sync, after {} s; see 'keelson status', 'keelson get "
                  "pods -A' and 'keelson events -A'",
                  flags.timeout);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

}  // namespace

void add_status(CLI::App& app, Session& session) {
  auto* verb = app.add_subcommand(
      "status",
      "The node at a glance: pods, readiness, restarts, addresses, start times; and of the role network its\n"
      "source, last sync, programs on sockets and links, and how full its tables are");
  auto flags = std::make_shared<StatusFlags>();
  verb->add_flag("--wait", flags->wait, "Wait until every pod is ready or at its end, and services are in the kernel");
  verb->add_option("--timeout", flags->timeout, "With --wait: give up after this many seconds")->capture_default_str();
  verb->add_option("-o,--output", flags->output, "Output format: json or yaml");
  verb->callback([&session, flags] { session.chosen = [&session, flags] { return status(session, *flags); }; });
}

}  // namespace keelson::cli
