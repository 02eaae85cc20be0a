// SPDX-License-Identifier: Apache-2.0
#include "network/proxy_health.h"

#include <boost/json.hpp>

namespace keelson::network {
namespace {

constexpr const char* kNever = "0001-01-01T00:00:00Z";  // Go's zero time

void collect_answers(Stats& stats, const std::string& name, const std::string& help, uint64_t ok,
                     uint64_t unavailable) {
  stats.counter(name, help, static_cast<double>(ok), {{"code", "200"}});
  stats.counter(name, help, static_cast<double>(unavailable), {{"code", "503"}});
}

}  // namespace

ProxyHealth::ProxyHealth(const Clock& clock, Duration limit, std::vector<std::string> families)
    : clock_(clock), limit_(limit), families_(std::move(families)) {}

void ProxyHealth::queued() {
  if (!waiting_since_) {
    waiting_since_ = clock_.steady();
  }
}

void ProxyHealth::updated() {
  waiting_since_.reset();
  updated_ = clock_.wall();
}

bool ProxyHealth::healthy() const {
  return !updated_ || !waiting_since_ || clock_.steady() - *waiting_since_ < limit_;
}

http::Response ProxyHealth::healthz() {
  return answer(healthy() && node_eligible_, node_eligible_, healthz_);
}

http::Response ProxyHealth::livez() {
  return answer(healthy(), {}, livez_);
}

http::Response ProxyHealth::answer(bool good, std::optional<bool> eligible, Answers& answers) const {
  (good ? answers.ok : answers.unavailable)++;
  auto now = format_rfc3339_nano(clock_.wall());
  auto last = updated_ ? format_rfc3339_nano(*updated_) : kNever;
  boost::json::object body;
  body["lastUpdated"] = good ? now : last;
  body["currentTime"] = now;
  if (eligible) {
    body["nodeEligible"] = *eligible;
  }
  body["healthy"] = healthy();
  if (updated_) {
    boost::json::object status;
    for (const auto& family : families_) {
      status[family] = {{"lastUpdated", last}, {"healthy", healthy()}};
    }
    body["status"] = std::move(status);
  }
  return {.status = good ? 200 : 503,
          .body = boost::json::serialize(body),
          .headers = {{"X-Content-Type-Options", "nosniff"}},
          .stream = {}};
}

void ProxyHealth::collect(Stats& stats) const {
  collect_answers(stats, "kubeproxy_proxy_healthz_total", "Cumulative proxy healthz HTTP status", healthz_.ok,
                  healthz_.unavailable);
  collect_answers(stats, "kubeproxy_proxy_livez_total", "Cumulative proxy livez HTTP status", livez_.ok,
                  livez_.unavailable);
}

}  // namespace keelson::network
