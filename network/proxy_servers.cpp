// SPDX-License-Identifier: Apache-2.0
#include "network/proxy_servers.h"

#include <unistd.h>

#include "common/log.h"
#include "ebpf/kernel_stats.h"
#include "http/listening.h"
#include "metrics/exposition.h"
#include "metrics/process_stats.h"

namespace keelson::network {
namespace {

std::vector<std::string> served_families() {
  return ::access("/proc/net/if_inet6", F_OK) == 0 ? std::vector<std::string>{"IPv4", "IPv6"}
                                                   : std::vector<std::string>{"IPv4"};
}

http::Response plain(std::string text, int status = 200) {
  return {.status = status,
          .type = "text/plain; charset=utf-8",
          .body = std::move(text),
          .headers = {{"X-Content-Type-Options", "nosniff"}},
          .stream = {}};
}

}  // namespace

ProxyServers::ProxyServers(Loop& loop, ProxyServerOptions options, const RouterOptions& routing, const Router& router)
    : loop_(loop),
      options_(std::move(options)),
      node_name_(routing.node_name),
      node_ports_(routing.node_ports),
      router_(router),
      health_(loop.clock(), kHealthLimit, served_families()),
      metrics_(loop.clock()),
      service_ports_(loop, [this] { return health_.healthy(); }),
      tasks_(loop) {}

Result<> ProxyServers::start() {
  KEELSON_DO(serve_at(options_.healthz, "healthzBindAddress", &ProxyServers::health_page));
  return serve_at(options_.metrics, "metricsBindAddress", &ProxyServers::status_page);
}

Result<> ProxyServers::serve_at(const std::optional<http::BindAddress>& where, const std::string& name, Answer answer) {
  if (!where) {
    return {};
  }
  auto server = std::make_shared<http::Server>(
      loop_, name, [this, answer](http::Request request) { return respond(answer, std::move(request)); });
  if (options_.bind_hard_fail) {
    KEELSON_DO(http::listen(*server, *where));
    tasks_.spawn(name, http::serve(std::move(server)));
    return {};
  }
  tasks_.spawn(name, http::serve(loop_, std::move(server), *where));
  return {};
}

Task<http::Response> ProxyServers::respond(Answer answer, http::Request request) {
  co_return (this->*answer)(request);
}

void ProxyServers::received(const ObjectBatch& batch) {
  health_.queued();
  metrics_.received(batch);
}

void ProxyServers::synced(const SyncReport& report) {
  metrics_.synced(report);
  report.failed == 0 ? health_.updated() : health_.queued();
  std::vector<std::string> hosts = {"::"};
  if (node_ports_.primary || !node_ports_.within.empty()) {
    hosts.clear();
    for (const auto& address : router_.translator().options().node_port_addresses) {
      hosts.push_back(address.to_string());
    }
  }
  service_ports_.sync(router_.translator().model().health_checks, hosts);
}

bool ProxyServers::node_eligible() const {
  const auto* own = router_.nodes().find(node_name_);
  return own != nullptr ? !own->leaving : !options_.node_expected;
}

http::Response ProxyServers::health_page(const http::Request& request) {
  const auto& path = request.target.path;
  health_.set_node_eligible(node_eligible());
  if (path == std::vector<std::string>{"healthz"}) {
    return health_.healthz();
  }
  return path == std::vector<std::string>{"livez"} ? health_.livez() : plain("404 page not found\n", 404);
}

http::Response ProxyServers::status_page(const http::Request& request) {
  const auto& path = request.target.path;
  const std::string name = path.size() == 1 ? path.front() : "";
  if (name == "metrics") {
    return metrics_page();
  }
  if (name == "proxyMode") {
    return plain("ebpf");
  }
  if (name == "configz") {
    return {.body = options_.configz, .headers = {}, .stream = {}};
  }
  if (name == "healthz") {
    const bool verbose = request.target.query.contains("verbose");
    return plain(verbose ? "[+]ping ok\nhealthz check passed\n" : "ok");
  }
  return plain("404 page not found\n", 404);
}

http::Response ProxyServers::metrics_page() const {
  Stats stats;
  metrics_.collect(stats);
  health_.collect(stats);
  collect_no_local_endpoints(router_.translator().model(), stats);
  options_.more_stats(stats);
  stats.gauge("keelson_network_kubernetes_services", "Services that the source has told.",
              static_cast<double>(router_.translator().service_count()));
  stats.gauge("keelson_network_endpoint_slices", "EndpointSlices that the source has told.",
              static_cast<double>(router_.translator().slice_count()));
  if (differences_) {
    stats.gauge("keelson_network_shadow_differences",
                "Places in which kube-proxy's rules do something else than would be done here, when last compared.",
                static_cast<double>(*differences_));
  }
  router_.map_growth().collect(stats);
  for (const auto& collected :
       {ebpf::collect_kernel(router_.programs(), router_.tables(), stats), metrics::collect_process(stats)}) {
    if (!collected) {
      log::warning("/metrics lacks some: {}", collected.error().message());
    }
  }
  return {.type = metrics::kTextType, .body = metrics::prometheus_text(stats), .headers = {}, .stream = {}};
}

Task<> ProxyServers::close() {
  KEELSON_CO_DO(co_await service_ports_.close());
  co_return co_await tasks_.close();
}

}  // namespace keelson::network
