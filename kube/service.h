// SPDX-License-Identifier: Apache-2.0
// Service (core/v1): what is reached by one name and address, whoever serves it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kube/container.h"
#include "kube/int_or_string.h"
#include "kube/meta.h"

namespace keelson::kube {

enum class ServiceType { cluster_ip, node_port, load_balancer, external_name };
std::string_view to_string(ServiceType type);

enum class SessionAffinity { none, client_ip };
enum class TrafficPolicy { cluster, local };
enum class IpFamily { ipv4, ipv6 };
enum class IpMode { vip, proxy };

struct ServicePort {
  std::string name;
  Protocol protocol = Protocol::tcp;
  std::string app_protocol;
  int32_t port = 0;
  IntOrString target_port;  ///< After defaulting, `port` where it was not given.
  int32_t node_port = 0;
  bool operator==(const ServicePort&) const = default;
};

/// status.loadBalancer.ingress: where the load balancer takes traffic.
struct LoadBalancerIngress {
  std::string ip;
  std::string hostname;
  std::optional<IpMode> ip_mode;  ///< Not given: vip.
  bool operator==(const LoadBalancerIngress&) const = default;
};

/// The rest of its status is dropped.
struct Service {
  ObjectMeta metadata;
  ServiceType type = ServiceType::cluster_ip;
  std::string cluster_ip;  ///< Empty: not given yet; "None": headless.
  std::vector<std::string> cluster_ips;
  std::vector<IpFamily> ip_families;
  std::vector<ServicePort> ports;
  StringMap selector;  ///< Empty: endpoints come from elsewhere.
  SessionAffinity session_affinity = SessionAffinity::none;
  int32_t affinity_seconds = 10800;  ///< sessionAffinityConfig.clientIP.timeoutSeconds: 1 .. 86400.
  std::vector<std::string> external_ips;
  std::vector<std::string> load_balancer_source_ranges;  ///< CIDRs; blanks around them are allowed.
  TrafficPolicy internal_traffic_policy = TrafficPolicy::cluster;
  TrafficPolicy external_traffic_policy = TrafficPolicy::cluster;
  int32_t health_check_node_port = 0;
  bool publish_not_ready_addresses = false;
  std::string traffic_distribution;
  std::string external_name;
  std::vector<LoadBalancerIngress> ingress;
  bool operator==(const Service&) const = default;
};

/// What the API server fills in, in place: the namespace "default", a port's target, clusterIPs and clusterIP from one
/// another. Idempotent.
void default_service(Service& service);

}  // namespace keelson::kube
