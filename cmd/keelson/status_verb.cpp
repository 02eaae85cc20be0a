// SPDX-License-Identifier: Apache-2.0
// keelson status [--wait] : the node at a glance.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "cmd/keelson/output.h"
#include "cmd/keelson/pod_table.h"
#include "cmd/keelson/verbs.h"

namespace keelson::cli {

namespace {

struct StatusFlags {
  bool wait = false;
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

Result<int> status(const Session& session, const StatusFlags& flags) {
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(flags.timeout);
  auto list = session.admin().get("/pods");
  while (flags.wait && (!list || !settled(*list))) {
    if (std::chrono::steady_clock::now() >= end) {
      return fail(Kind::timeout,
                  "not every pod was ready after {} s; see 'keelson get pods -A' and 'keelson events -A'",
                  flags.timeout);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    list = session.admin().get("/pods");
  }
  if (!list) {
    return std::unexpected(std::move(list).error());
  }
  std::vector<std::vector<std::string>> rows = {
      {"NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "IP", "STARTED", "START TOOK"}};
  for (const auto& pod : list_at(*list, {"items"})) {
    auto row = pod_row(pod);
    rows.push_back({text_at(pod, {"metadata", "namespace"}), text_at(pod, {"metadata", "name"}), row.ready, row.status,
                    row.restarts, row.ip, text_at(pod, {"status", "startTime"}, "-"), start_duration(session, pod)});
  }
  std::fputs(format_table(rows).c_str(), stdout);
  return 0;
}

}  // namespace

void add_status(CLI::App& app, Session& session) {
  auto* verb = app.add_subcommand("status", "The node at a glance: pods, readiness, restarts, addresses, start times");
  auto flags = std::make_shared<StatusFlags>();
  verb->add_flag("--wait", flags->wait, "Wait until every pod is ready or at its end");
  verb->add_option("--timeout", flags->timeout, "With --wait: give up after this many seconds")->capture_default_str();
  verb->callback([&session, flags] { session.chosen = [&session, flags] { return status(session, *flags); }; });
}

}  // namespace keelson::cli
