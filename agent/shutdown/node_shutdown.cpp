// SPDX-License-Identifier: Apache-2.0
#include "agent/shutdown/node_shutdown.h"

#include <algorithm>

#include <boost/json.hpp>

#include "common/atomic_file.h"
#include "common/fd.h"
#include "common/log.h"

namespace keelson::agent {

namespace {

namespace json = boost::json;

constexpr const char* kReason = "Terminated";
constexpr const char* kMessage = "Pod was terminated in response to imminent node shutdown.";
constexpr const char* kEvent = "NodeShutdown";

std::optional<WallTime> time_in(const json::object& state, const char* key) {
  const auto* text = state.if_contains(key);
  auto time = text != nullptr && text->is_string() ? parse_rfc3339(std::string(text->get_string()))
                                                   : Result<WallTime>(fail(Kind::not_found, "{}", key));
  return time ? std::optional(*time) : std::nullopt;
}

}  // namespace

NodeShutdown::NodeShutdown(Loop& loop, Agent& agent, ShutdownOptions options)
    : loop_(loop), agent_(agent), options_(std::move(options)), tasks_(loop) {
  std::error_code wrong;
  const auto state = json::parse(read_file(options_.state_file).value_or("{}"), wrong);
  if (wrong || !state.is_object()) {
    log::warning("{} cannot be read; when the machine last went down is not known", options_.state_file);
    return;
  }
  began_ = time_in(state.get_object(), "startTime");
  ended_ = time_in(state.get_object(), "endTime");
}

void NodeShutdown::going_down(bool now) {
  log::info("{}", now ? "the machine is going down: pods end first" : "the machine does not go down after all");
  options_.record({.warning = false,
                   .reason = kEvent,
                   .message = now ? "Shutdown manager detected shutdown event"
                                  : "Shutdown manager detected shutdown cancellation"});
  if (std::exchange(going_down_, now) != now) {
    options_.tell(now);
  }
  if (now && !std::exchange(ending_, true)) {
    tasks_.spawn("end pods before the machine", end_pods());
  }
}

Task<> NodeShutdown::end_pods() {
  began_ = loop_.clock().wall();
  ended_.reset();
  keep_times();
  auto pods = agent_.pods();
  std::erase_if(pods, [](const kube::Pod& pod) { return is_final(pod.status.phase); });
  Result<> outcome;
  for (auto& group : shutdown_groups(options_.periods, pods)) {
    outcome = co_await end_group(std::move(group));
    if (!outcome) {
      break;
    }
  }
  ended_ = loop_.clock().wall();
  keep_times();
  ending_ = false;
  log::info("pods have ended: the machine may go down");
  options_.done();
  co_return outcome;
}

Task<> NodeShutdown::end_group(ShutdownGroup group) {
  const auto grace = group.period.grace;
  std::vector<std::string> uids;
  for (const auto* pod : group.pods) {
    uids.push_back(pod->metadata.uid);
    agent_.fail_pod(pod->metadata.uid,
                    {.phase = kube::PodPhase::failed, .reason = kReason, .message = kMessage, .disruption = kMessage},
                    std::min<int64_t>(grace.count(), pod->spec.termination_grace_period_seconds));
  }
  log::info("{} pods of priority {} and above end within {} s", uids.size(), group.period.priority, grace.count());
  KEELSON_CO_TRY(const bool ended, co_await agent_.wait_ended(std::move(uids), grace));
  if (!ended) {
    log::warning("pods of priority {} and above have not ended within {} s", group.period.priority, grace.count());
  }
  co_return Result<>();
}

void NodeShutdown::keep_times() const {
  json::object state;
  for (const auto& [key, time] : {std::pair("startTime", began_), std::pair("endTime", ended_)}) {
    if (time) {
      state[key] = format_rfc3339_nano(*time);
    }
  }
  if (auto kept = write_file_atomic(options_.state_file, json::serialize(state), 0600); !kept) {
    log::warning("{}", kept.error().message());
  }
}

Task<> NodeShutdown::close() {
  return tasks_.close();
}

void NodeShutdown::collect(Stats& stats) const {
  const auto seconds = [](const std::optional<WallTime>& time) {
    return time ? std::chrono::duration<double>(time->time_since_epoch()).count() : 0.0;
  };
  if (began_) {
    stats.gauge("kubelet_graceful_shutdown_start_time_seconds",
                "[ALPHA] Last graceful shutdown start time since unix epoch in seconds", seconds(began_));
    stats.gauge("kubelet_graceful_shutdown_end_time_seconds",
                "[ALPHA] Last graceful shutdown end time since unix epoch in seconds", seconds(ended_));
  }
}

}  // namespace keelson::agent
