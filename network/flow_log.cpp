// SPDX-License-Identifier: Apache-2.0
#include "network/flow_log.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/json/serialize.hpp>

#include "common/log.h"
#include "ebpf/connection_table.h"

namespace keelson::network {
namespace {

namespace json = boost::json;

constexpr size_t kKept = 1000;
constexpr size_t kQueue = 4096;

bool ends(const FlowRecord& record) {
  return ebpf::name_of(record.event.counter).kind != KL_COUNTS;
}

std::string_view verdict(const FlowRecord& record) {
  switch (ebpf::name_of(record.event.counter).kind) {
    case KL_DROPS:
      return "DROPPED";
    case KL_REJECTS:
      return "REJECTED";
    case KL_COUNTS:
      break;
  }
  return "FORWARDED";
}

std::string_view hook(uint32_t hook) {
  constexpr std::string_view kNames[] = {"socket", "tc-ingress", "tc-egress", "xdp"};
  return hook < std::size(kNames) ? kNames[hook] : "unknown";
}

ebpf::SocketAddress end(const kl_addr& address, __be16 port) {
  return {ebpf::from_kl(address), ntohs(port)};
}

}  // namespace

json::object flow_json(const FlowRecord& record, PodNames& pods) {
  const auto& event = record.event;
  auto name = ebpf::name_of(event.counter);
  json::object flow{{"time", format_rfc3339_nano(record.time)},
                    {"verdict", verdict(record)},
                    {"protocol", dataplane::to_string(static_cast<dataplane::Protocol>(event.flow.protocol))},
                    {"destination", end(event.flow.dst, event.flow.dport).to_string()},
                    {"service", record.service},
                    {"reason", name.label},
                    {"text", name.text},
                    {"hook", hook(event.hook)}};
  auto pod = [&](const char* member, const kl_addr& address) {
    if (auto known = pods.of(ebpf::from_kl(address)); !known.empty()) {
      flow[member] = known;
    }
  };
  // At a socket the source is not chosen yet.
  if (!kl_no_addr(&event.flow.src)) {
    flow["source"] = end(event.flow.src, event.flow.sport).to_string();
    pod("sourcePod", event.flow.src);
  }
  if (!kl_no_addr(&event.onward.dst)) {
    flow["backend"] = end(event.onward.dst, event.onward.dport).to_string();
    pod("backendPod", event.onward.dst);
    if (!kl_no_addr(&event.flow.src) && !kl_same_addr(&event.onward.src, &event.flow.src)) {
      flow["masqueradedAs"] = end(event.onward.src, event.onward.sport).to_string();
    }
  }
  char link[IF_NAMESIZE] = "";
  if (event.ifindex && if_indextoname(event.ifindex, link)) {
    flow["link"] = link;
  }
  return flow;
}

Result<FlowQuery> FlowQuery::parse(const http::Target& target) {
  FlowQuery query{.follow = target.flag("follow"), .drops_only = target.flag("drop")};
  if (auto text = target.text("last"); !text.empty()) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), query.last);
    if (error != std::errc() || end != text.data() + text.size()) {
      return fail(Kind::invalid, "last={}: a number from 0 on", text);
    }
  }
  return query;
}

FlowLog::FlowLog(Loop& loop, Router& router) : loop_(loop), router_(router), pods_(router) {}

Result<> FlowLog::tell_flows() {
  bool wanted = std::ranges::any_of(followers_, [](const auto& follower) { return !follower.drops_only; });
  if (followers_.empty()) {
    pods_.clear();
  }
  return router_.tell_events({.drops = true, .flows = wanted});
}

Task<> FlowLog::run() {
  KEELSON_CO_TRY(auto events, ebpf::FlowEvents::open(router_.programs().map("events"),
                                                     [this](const kl_event& event) { take(event); }));
  KEELSON_CO_DO(tell_flows());
  asio::posix::stream_descriptor ready(loop_.io(), ::dup(events.fd()));
  for (;;) {
    auto [error] = co_await ready.async_wait(asio::posix::stream_descriptor::wait_read, use_result);
    if (error) {
      co_return fail_asio(error, "wait for events");
    }
    KEELSON_CO_DO(events.drain());
  }
}

void FlowLog::take(const kl_event& event) {
  FlowRecord record{.event = event, .service = {}, .time = {}};
  if (const auto* key = router_.tables().service_of_row(event.service); event.service && key) {
    record.service = key->name;
  }
  auto age = loop_.clock().steady().time_since_epoch() - std::chrono::nanoseconds(event.time);
  record.time = loop_.clock().wall() - age;
  for (auto& follower : followers_) {
    if (follower.drops_only && !ends(record)) {
      continue;
    }
    if (follower.queue.size() >= kQueue) {
      follower.lost++;
      continue;
    }
    follower.queue.push_back(record);
    follower.wake.cancel();
  }
  last_.push_back(std::move(record));
  if (last_.size() > kKept) {
    last_.pop_front();
  }
}

std::string FlowLog::line(const FlowRecord& record) {
  return json::serialize(flow_json(record, pods_)) + "\n";
}

void FlowLog::leave(Followers::iterator self) {
  followers_.erase(self);
  if (auto told = tell_flows(); !told) {
    log::warning("{}", told.error().message());
  }
}

Task<> FlowLog::write(http::Sink sink, FlowQuery query) {
  std::string text;
  size_t chosen = 0;
  auto wanted = [&](const FlowRecord& record) { return !query.drops_only || ends(record); };
  for (auto record = last_.rbegin(); record != last_.rend() && chosen < query.last; ++record) {
    if (wanted(*record)) {
      text.insert(0, line(*record));
      chosen++;
    }
  }
  if (!query.follow) {
    if (followers_.empty()) {
      pods_.clear();
    }
    co_return co_await sink(std::move(text));
  }
  // Events from now on are its own, before anything else has a turn.
  auto self = followers_.emplace(followers_.end(), loop_);
  self->drops_only = query.drops_only;
  struct Leaving {
    FlowLog& log;
    Followers::iterator self;
    ~Leaving() { log.leave(self); }
  } leaving{*this, self};
  KEELSON_CO_DO(tell_flows());
  KEELSON_CO_DO(co_await sink(std::move(text)));
  co_return co_await follow(std::move(sink), self);
}

Task<> FlowLog::follow(http::Sink sink, Followers::iterator self) {
  for (;;) {
    if (self->queue.empty() && self->lost == 0) {
      self->wake.expires_at(asio::steady_timer::time_point::max());
      co_await self->wake.async_wait(use_result);
      if ((co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none) {
        co_return fail(Kind::cancelled, "cancelled");
      }
      continue;
    }
    std::string text;
    for (const auto& record : std::exchange(self->queue, {})) {
      text += line(record);
    }
    if (auto lost = std::exchange(self->lost, 0)) {
      text += json::serialize(json::object{{"lost", lost}}) + "\n";
    }
    if (auto sent = co_await sink(std::move(text)); !sent) {
      co_return sent;
    }
  }
}

}  // namespace keelson::network
