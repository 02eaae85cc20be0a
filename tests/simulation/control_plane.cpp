// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/control_plane.h"

#include <fmt/format.h>

#include <algorithm>

#include <boost/json/parse.hpp>

namespace keelson::simulation {

namespace {

Error reset() {
  return {Kind::unavailable, "api:6443: connection reset by peer"};
}

bool is_watch(const Target& target) {
  return target.query.contains("watch");
}

}  // namespace

void RequestCount::add(SteadyTime now, const std::string& what) {
  ++total_;
  ++by_kind_[what];
  recent_.push_back(now);
  while (now - recent_.front() >= std::chrono::seconds(10)) {
    recent_.pop_front();
  }
  const auto second = std::ranges::count_if(recent_, [&](SteadyTime at) { return now - at < std::chrono::seconds(1); });
  worst_second_ = std::max(worst_second_, static_cast<uint64_t>(second));
  worst_ten_ = std::max<uint64_t>(worst_ten_, recent_.size());
  if (break_ && now - *break_ < std::chrono::seconds(1)) {
    worst_after_break_ = std::max(worst_after_break_, ++after_break_);
  }
}

void RequestCount::mark_break(SteadyTime now) {
  break_ = now;
  after_break_ = 0;
}

/// One client's connection; its requests are all on one server's, as HTTP/2 has it.
class Wire : public kube::Transport {
 public:
  Wire(ControlPlane& plane) : plane_(plane) { plane_.wires_.push_back(this); }
  ~Wire() override { std::erase(plane_.wires_, this); }

  Result<std::shared_ptr<kube::Transfer>> start(kube::TransferRequest request) override {
    auto transfer = std::make_shared<WireTransfer>(plane_.loop_, std::move(request));
    if (!server_) {
      server_ = plane_.random_() % ControlPlane::kServers;
    }
    std::erase_if(transfers_, [](const auto& entry) { return entry.expired(); });
    transfers_.push_back(transfer);
    plane_.tasks_.spawn("request", plane_.serve(transfer, *server_, plane_.servers_[*server_]->life));
    return transfer;
  }
  void abandon(const Error& error) override {
    server_.reset();
    for (const auto& weak : std::exchange(transfers_, {})) {
      if (auto transfer = weak.lock()) {
        transfer->finish(error);
      }
    }
  }
  size_t count() override {
    std::erase_if(transfers_, [](const auto& entry) { return entry.expired(); });
    return transfers_.size();
  }
  SteadyTime last_byte() const override { return plane_.loop_.clock().steady(); }
  std::optional<size_t> server() const { return server_; }

 private:
  ControlPlane& plane_;
  std::optional<size_t> server_;
  std::vector<std::weak_ptr<WireTransfer>> transfers_;
};

ControlPlane::ControlPlane(Loop& loop, uint64_t seed, Auditor& auditor)
    : loop_(loop), random_(seed), rest_(store, loop.clock(), auditor), tasks_(loop) {
  for (size_t i = 0; i < kServers; ++i) {
    servers_.push_back(std::make_unique<Server>(loop, store, random_, faults));
  }
  store.changed = [this](const std::string& kind, const Change& change) {
    for (auto& server : servers_) {
      server->cache.hear(kind, change);
    }
  };
}

std::unique_ptr<kube::Transport> ControlPlane::connect() {
  return std::make_unique<Wire>(*this);
}

void ControlPlane::go_away() {
  away_ = true;
  cut_connections();
}

void ControlPlane::back() {
  away_ = false;
  requests.mark_break(loop_.clock().steady());
}

void ControlPlane::break_connection(size_t server) {
  ++servers_[server]->life;
  for (Wire* wire : std::vector(wires_)) {
    if (wire->server() == server) {
      wire->abandon(reset());
    }
  }
}

void ControlPlane::cut_connections() {
  for (size_t i = 0; i < kServers; ++i) {
    break_connection(i);
  }
  requests.mark_break(loop_.clock().steady());
}

void ControlPlane::restart_server() {
  const size_t which = random_() % kServers;
  break_connection(which);
  servers_[which]->cache.restart();
}

void ControlPlane::send_bookmarks() {
  for (auto& server : servers_) {
    server->cache.send_bookmarks();
  }
}

size_t ControlPlane::watch_count() {
  size_t found = 0;
  for (auto& server : servers_) {
    found += server->cache.watch_count();
  }
  return found;
}

void ControlPlane::answer(WireTransfer& transfer, const Reply& reply) {
  transfer.answered(reply.status, reply.retry_after);
  transfer.arrived(reply.body);
  transfer.finish(std::nullopt);
}

/// What the server says instead of serving.
std::optional<Reply> ControlPlane::refusal(const std::string& method, const Target& target) {
  if (faults.token_expired) {
    return refuse(401, "Unauthorized", "Unauthorized");
  }
  if (faults.no_services && target.kind == "services") {
    return refuse(403, "Forbidden", "services is forbidden");
  }
  if (chance(faults.busy)) {
    auto reply = refuse(429, "TooManyRequests", "the server has received too many requests");
    if (const auto seconds = random_() % 4; seconds < 3) {
      reply.retry_after = std::chrono::seconds(seconds);
    }
    return reply;
  }
  if (chance(faults.broken)) {
    return refuse(500, "InternalError", "etcdserver: request timed out");
  }
  if (chance(faults.unavailable)) {
    auto reply = refuse(503, "ServiceUnavailable", "the server is currently unable to handle the request");
    if (random_() % 2 == 0) {
      reply.retry_after = std::chrono::seconds(1);
    }
    return reply;
  }
  const bool of_pod = target.kind == "configmaps" || target.kind == "secrets" || target.subresource == "token";
  if (of_pod && chance(faults.forbidden)) {
    return refuse(403, "Forbidden", "no relationship found between node and this object");
  }
  if (method == "PATCH" && chance(faults.contended)) {
    return refuse(409, "Conflict", "the object has been modified; please apply your changes to the latest version");
  }
  return std::nullopt;
}

/// Waits, as the real one, up to three seconds for a version that its cache has not reached.
Task<Reply> ControlPlane::list(size_t server, Target target) {
  for (int tries = 0;; ++tries) {
    auto reply = servers_[server]->cache.list(target);
    if (reply.status != 504 || tries == 6) {
      co_return reply;
    }
    KEELSON_CO_DO(co_await loop_.sleep(std::chrono::milliseconds(500)));
  }
}

Task<> ControlPlane::serve(std::weak_ptr<WireTransfer> weak, size_t server, uint64_t life) {
  const auto latency = [this] {
    return Duration(static_cast<Duration::rep>(random_() % (faults.latency.count() + 1)));
  };
  KEELSON_CO_DO(co_await loop_.sleep(latency()));
  std::string method, body;
  Target target;
  if (auto transfer = weak.lock()) {
    if (away_) {
      transfer->finish(Error(Kind::unavailable, "connect to api:6443: connection refused"), true);
      co_return Result<>();
    }
    if (servers_[server]->life != life) {
      co_return Result<>();  // broken, and told so
    }
    method = transfer->request().method;
    body = transfer->request().body;
    target = parse_target(transfer->request().path);
    requests.add(loop_.clock().steady(), fmt::format("{} {}{}{}", is_watch(target) ? "WATCH" : method, target.kind,
                                                     target.subresource.empty() ? "" : "/", target.subresource));
    if (chance(faults.lost)) {
      break_connection(server);
      co_return Result<>();
    }
    if (auto refused = refusal(method, target)) {
      answer(*transfer, *refused);
      co_return Result<>();
    }
    if (is_watch(target)) {
      servers_[server]->cache.watch(transfer, target);
      co_return Result<>();
    }
  } else {
    co_return Result<>();
  }
  Reply reply;
  if (method == "GET" && target.name.empty()) {
    KEELSON_CO_TRY(reply, co_await list(server, target));
  } else if (method == "GET" && target.query.contains("resourceVersion")) {
    reply = servers_[server]->cache.get(target);
  } else {
    reply = rest_.answer(method, target, body);
  }
  if (chance(faults.answer_lost)) {
    break_connection(server);
  }
  if (chance(faults.hangs)) {
    co_return Result<>();
  }
  KEELSON_CO_DO(co_await loop_.sleep(latency()));
  if (auto transfer = weak.lock(); transfer && servers_[server]->life == life) {
    answer(*transfer, reply);
  }
  co_return Result<>();
}

}  // namespace keelson::simulation
