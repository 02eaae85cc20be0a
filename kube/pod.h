// SPDX-License-Identifier: Apache-2.0
// The v1 Pod: what shall run together on one node, and what the node says of it.
//
// A Pod is decoded (codec.h), completed with the API server's defaults (default_pod), checked (validate_pod), and only
// then given to the agent; decode_documents does all three. pod_qos.h answers what its resources amount to.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kube/container.h"
#include "kube/meta.h"
#include "kube/pod_status.h"
#include "kube/volume.h"

namespace keelson::kube {

enum class DnsPolicy {
  cluster_first_with_host_net,
  cluster_first,
  default_policy,
  none
};  ///< `Default` is the node's.
std::string_view to_string(DnsPolicy policy);

/// "ndots" with "5", or "rotate" with nothing.
struct DnsOption {
  std::string name;
  std::optional<std::string> value;
  bool operator==(const DnsOption&) const = default;
};

/// Appended to what dnsPolicy gives, without repeating.
struct PodDnsConfig {
  std::vector<std::string> nameservers;
  std::vector<std::string> searches;
  std::vector<DnsOption> options;
  bool operator==(const PodDnsConfig&) const = default;
};

/// A line for the pod's /etc/hosts.
struct HostAlias {
  std::string ip;
  std::vector<std::string> hostnames;
  bool operator==(const HostAlias&) const = default;
};

struct Toleration {
  std::string key;
  std::string op;  ///< `operator`: "Equal" (also when empty) or "Exists".
  std::string value;
  std::string effect;  ///< Empty: all effects.
  std::optional<int64_t> toleration_seconds;
  bool operator==(const Toleration&) const = default;
};

/// A container that joins a pod which runs, for a look at it (`kubectl debug`): never restarted; without probes, ports,
/// resources and hooks.
struct EphemeralContainer {
  Container container;
  std::string target_container_name;  ///< Whose processes it sees; empty: as the pod's other containers.
  bool operator==(const EphemeralContainer&) const = default;
};

/// Constant defaults are the initialisers. What the node does not act on is carried as RawJson.
struct PodSpec {
  std::vector<Volume> volumes;
  std::vector<Container> init_containers;  ///< In order, each to success before the next; sidecars stay.
  std::vector<Container> containers;       ///< At least one.
  std::vector<EphemeralContainer> ephemeral_containers;
  RestartPolicy restart_policy = RestartPolicy::always;
  int64_t termination_grace_period_seconds = 30;   ///< For preStop and SIGTERM together; then SIGKILL.
  std::optional<int64_t> active_deadline_seconds;  ///< Counted from status.start_time.
  DnsPolicy dns_policy = DnsPolicy::cluster_first;
  StringMap node_selector;
  std::string service_account_name;
  std::optional<bool> automount_service_account_token;
  std::string node_name;
  bool host_network = false;
  bool host_pid = false;
  bool host_ipc = false;
  std::optional<bool> share_process_namespace;
  std::optional<bool> host_users;  ///< False: a user namespace of its own.
  PodSecurityContext security_context;
  std::vector<std::string> image_pull_secrets;  ///< Names of Secrets.
  std::string hostname;
  std::string subdomain;
  std::optional<bool> set_hostname_as_fqdn;
  std::vector<Toleration> tolerations;
  std::vector<HostAlias> host_aliases;
  std::string scheduler_name = "default-scheduler";
  std::string priority_class_name;
  std::optional<int32_t> priority;
  std::optional<std::string> preemption_policy;
  std::optional<PodDnsConfig> dns_config;
  std::vector<std::string> readiness_gates;  ///< Condition types that must be True for Ready.
  std::optional<std::string> runtime_class_name;
  bool enable_service_links = true;
  ResourceList overhead;
  std::optional<std::string> os_name;             ///< `os.name`.
  std::optional<ResourceRequirements> resources;  ///< Of the pod as a whole.
  RawJson affinity;
  RawJson topology_spread_constraints;
  RawJson scheduling_gates;
  RawJson resource_claims;  ///< This node has no dynamic resources (KEP-4381), and refuses who wants some.
  bool operator==(const PodSpec&) const = default;
};

struct Pod {
  ObjectMeta metadata;
  PodSpec spec;
  PodStatus status;
  bool operator==(const Pod&) const = default;
};

/// Fills in, in place, what the API server fills in where the manifest says nothing and the default depends on other
/// fields or on an explicit zero: image pull policies, requests from limits, host ports of host-network pods, probe
/// numbers, emptyDir for volumes without a source, the namespace "default", the service account "default" stays unset.
/// Idempotent.
void default_pod(Pod& pod);

/// Whether spec.resourceClaims has any.
bool claims_resources(const PodSpec& spec);

/// The container of this name, init and ephemeral containers included; nullptr if there is none. Valid as long as the
/// pod is unchanged.
const Container* find_container(const PodSpec& spec, std::string_view name);

/// The image that the volume of this name is; nullptr if there is no such volume, or it is another. Valid as long as
/// the pod is unchanged.
const ImageVolume* find_image_volume(const PodSpec& spec, std::string_view name);

}  // namespace keelson::kube
