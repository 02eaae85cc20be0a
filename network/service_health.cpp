// SPDX-License-Identifier: Apache-2.0
#include "network/service_health.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "http/listening.h"

namespace keelson::network {
namespace {

std::string quoted(const std::string& text) {
  return boost::json::serialize(boost::json::string_view(text));
}

}  // namespace

http::Response service_health(const dataplane::HealthCheck& check, bool proxy_healthy) {
  const bool good = check.local_endpoints > 0 && proxy_healthy;
  return {.status = good ? 200 : 503,
          .body = fmt::format("{{\n\t\"service\": {{\n\t\t\"namespace\": {},\n\t\t\"name\": {}\n\t}},\n"
                              "\t\"localEndpoints\": {},\n\t\"serviceProxyHealthy\": {}\n}}",
                              quoted(check.ns), quoted(check.name), check.local_endpoints, proxy_healthy),
          .headers = {{"X-Content-Type-Options", "nosniff"},
                      {"X-Load-Balancing-Endpoint-Weight", std::to_string(check.local_endpoints)}},
          .stream = {}};
}

struct ServiceHealthPorts::Port {
  Port(Loop& loop, dataplane::HealthCheck c) : check(std::move(c)), serving(loop) {}
  dataplane::HealthCheck check;
  std::vector<std::shared_ptr<http::Server>> servers;  // one a host
  TaskGroup serving;
};

ServiceHealthPorts::ServiceHealthPorts(Loop& loop, std::function<bool()> proxy_healthy)
    : loop_(loop), proxy_healthy_(std::move(proxy_healthy)), ending_(loop) {}

ServiceHealthPorts::~ServiceHealthPorts() = default;

void ServiceHealthPorts::sync(const std::map<uint16_t, dataplane::HealthCheck>& checks,
                              const std::vector<std::string>& hosts) {
  const bool moved = hosts != hosts_;
  hosts_ = hosts;
  std::erase_if(ports_, [&](const auto& known) {
    const bool gone = moved || !checks.contains(known.first);
    if (gone) {
      for (const auto& server : known.second->servers) {
        server->close();  // the port is free from here on
      }
      ending_.spawn("health check port", end(known.second));
    }
    return gone;
  });
  for (const auto& [number, check] : checks) {
    if (auto known = ports_.find(number); known != ports_.end()) {
      known->second->check = check;
    } else {
      open(number, check);
    }
  }
}

Task<http::Response> ServiceHealthPorts::answer(std::shared_ptr<Port> port, bool proxy_healthy) {
  if (!port) {
    co_return fail(Kind::unavailable, "this health check is closed");
  }
  co_return service_health(port->check, proxy_healthy);
}

void ServiceHealthPorts::open(uint16_t number, const dataplane::HealthCheck& check) {
  auto port = std::make_shared<Port>(loop_, check);
  auto name = fmt::format("healthCheckNodePort of {}/{}", check.ns, check.name);
  // The port owns its servers, so they do not own it.
  auto respond = [this, weak = std::weak_ptr(port)](const http::Request&) {
    return answer(weak.lock(), proxy_healthy_());
  };
  for (const auto& host : hosts_) {
    const auto& server = port->servers.emplace_back(std::make_shared<http::Server>(loop_, name, respond));
    port->serving.spawn(name, http::serve(loop_, server, {host, number}));
  }
  ports_.emplace(number, std::move(port));
}

Task<> ServiceHealthPorts::end(std::shared_ptr<Port> port) {
  co_return co_await port->serving.close();
}

Task<> ServiceHealthPorts::close() {
  auto ports = std::exchange(ports_, {});
  for (const auto& [number, port] : ports) {
    KEELSON_CO_DO(co_await end(port));
  }
  co_return co_await ending_.close();
}

}  // namespace keelson::network
