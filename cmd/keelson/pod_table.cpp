// SPDX-License-Identifier: Apache-2.0
// kubectl's rules for the READY, STATUS and RESTARTS columns.
#include "cmd/keelson/pod_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "cmd/keelson/output.h"

namespace keelson::cli {

namespace json = boost::json;

namespace {

bool is_sidecar(const json::value& pod, const std::string& name) {
  for (const auto& container : list_at(pod, {"spec", "initContainers"})) {
    if (text_at(container, {"name"}) == name) {
      return text_at(container, {"restartPolicy"}) == "Always";
    }
  }
  return false;
}

std::string terminated_text(const json::value& terminated, const std::string& prefix) {
  if (auto reason = text_at(terminated, {"reason"}); !reason.empty()) {
    return prefix + reason;
  }
  if (auto signal = number_at(terminated, {"signal"}); signal != 0) {
    return fmt::format("{}Signal:{}", prefix, signal);
  }
  return fmt::format("{}ExitCode:{}", prefix, number_at(terminated, {"exitCode"}));
}

/// The Init:... text while init containers are not through; "" once they are.
std::string init_status(const json::value& pod) {
  const auto& statuses = list_at(pod, {"status", "initContainerStatuses"});
  auto total = list_at(pod, {"spec", "initContainers"}).size();
  for (size_t i = 0; i < statuses.size(); ++i) {
    const auto& status = statuses[i];
    const auto& terminated = find(status, {"state", "terminated"});
    if (terminated.is_object() && number_at(terminated, {"exitCode"}) == 0) {
      continue;
    }
    const auto& started = find(status, {"started"});
    if (is_sidecar(pod, text_at(status, {"name"})) && started.is_bool() && started.get_bool()) {
      continue;
    }
    if (terminated.is_object()) {
      return terminated_text(terminated, "Init:");
    }
    auto waiting = text_at(status, {"state", "waiting", "reason"});
    if (!waiting.empty() && waiting != "PodInitializing") {
      return "Init:" + waiting;
    }
    return fmt::format("Init:{}/{}", i, total);
  }
  return "";
}

std::string containers_status(const json::value& pod, std::string status) {
  const auto& statuses = list_at(pod, {"status", "containerStatuses"});
  bool running = false;
  for (size_t i = statuses.size(); i-- > 0;) {
    const auto& state = find(statuses[i], {"state"});
    if (auto waiting = text_at(state, {"waiting", "reason"}); !waiting.empty()) {
      status = waiting;
    } else if (const auto& terminated = find(state, {"terminated"}); terminated.is_object()) {
      status = terminated_text(terminated, "");
    } else if (find(state, {"running"}).is_object()) {
      const auto& ready = find(statuses[i], {"ready"});
      running = running || (ready.is_bool() && ready.get_bool());
    }
  }
  if (status == "Completed" && running) {
    bool ready = false;
    for (const auto& condition : list_at(pod, {"status", "conditions"})) {
      ready = ready || (text_at(condition, {"type"}) == "Ready" && text_at(condition, {"status"}) == "True");
    }
    return ready ? "Running" : "NotReady";
  }
  return status;
}

struct Counts {
  int64_t ready = 0;
  int64_t total = 0;
  int64_t restarts = 0;
  std::string last_restart;
};

void count(const json::value& pod, std::string_view field, bool sidecars_only, Counts& counts) {
  for (const auto& status : list_at(pod, {"status", field})) {
    if (sidecars_only && !is_sidecar(pod, text_at(status, {"name"}))) {
      continue;
    }
    counts.restarts += number_at(status, {"restartCount"});
    counts.last_restart = std::max(counts.last_restart, text_at(status, {"lastState", "terminated", "finishedAt"}));
    const auto& ready = find(status, {"ready"});
    if (ready.is_bool() && ready.get_bool() && find(status, {"state", "running"}).is_object()) {
      ++counts.ready;
    }
  }
}

}  // namespace

PodRow pod_row(const json::value& pod) {
  Counts counts;
  counts.total = static_cast<int64_t>(list_at(pod, {"spec", "containers"}).size());
  for (const auto& container : list_at(pod, {"spec", "initContainers"})) {
    counts.total += text_at(container, {"restartPolicy"}) == "Always" ? 1 : 0;
  }
  count(pod, "containerStatuses", false, counts);
  count(pod, "initContainerStatuses", true, counts);
  PodRow row;
  row.ready = fmt::format("{}/{}", counts.ready, counts.total);
  row.restarts = counts.restarts > 0 && !counts.last_restart.empty()
                     ? fmt::format("{} ({} ago)", counts.restarts, age_of(counts.last_restart))
                     : std::to_string(counts.restarts);
  row.status = text_at(pod, {"status", "reason"}, text_at(pod, {"status", "phase"}, "Unknown"));
  auto initializing = init_status(pod);
  row.status = initializing.empty() ? containers_status(pod, row.status) : initializing;
  if (find(pod, {"metadata", "deletionTimestamp"}).is_string()) {
    auto phase = text_at(pod, {"status", "phase"});
    row.status = phase == "Failed" || phase == "Succeeded" ? row.status : "Terminating";
  }
  row.age = age_of(text_at(pod, {"metadata", "creationTimestamp"}));
  row.ip = text_at(pod, {"status", "podIP"}, "<none>");
  row.node = text_at(pod, {"spec", "nodeName"}, "<none>");
  return row;
}

std::vector<std::vector<std::string>> pod_table(const json::value& list, PodTableOptions options) {
  std::vector<std::vector<std::string>> rows;
  auto add = [&](std::vector<std::string> row) {
    row.resize(options.wide ? 8 : 6);
    if (!options.namespaces) {
      row.erase(row.begin());
    }
    rows.push_back(std::move(row));
  };
  if (options.headers) {
    add({"NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE"});
  }
  for (const auto& pod : list_at(list, {"items"})) {
    auto row = pod_row(pod);
    add({text_at(pod, {"metadata", "namespace"}), text_at(pod, {"metadata", "name"}), row.ready, row.status,
         row.restarts, row.age, row.ip, row.node});
  }
  return rows;
}

}  // namespace keelson::cli
