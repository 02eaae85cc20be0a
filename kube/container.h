// SPDX-License-Identifier: Apache-2.0
// A container as a pod's spec describes it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kube/meta.h"
#include "kube/probe.h"
#include "kube/quantity.h"
#include "kube/security.h"

namespace keelson::kube {

enum class PullPolicy { always, if_not_present, never };
enum class Protocol { tcp, udp, sctp };  ///< "TCP", "UDP", "SCTP".
enum class RestartPolicy { always, on_failure, never };
enum class TerminationMessagePolicy { file, fallback_to_logs_on_error };
enum class MountPropagation { none, host_to_container, bidirectional };  ///< private, rslave, rshared.
enum class RecursiveReadOnly { disabled, if_possible, enabled };
enum class ResizeRestart { not_required, restart_container };  ///< "NotRequired", "RestartContainer".
std::string_view to_string(PullPolicy policy);
std::string_view to_string(Protocol protocol);
std::string_view to_string(RestartPolicy policy);
std::string_view to_string(TerminationMessagePolicy policy);
std::string_view to_string(MountPropagation propagation);
std::string_view to_string(RecursiveReadOnly mode);

struct ContainerPort {
  std::string name;       ///< What probes and Services may call it; unique in the pod.
  int32_t host_port = 0;  ///< 0: none. With hostNetwork, equal to container_port after defaulting.
  int32_t container_port = 0;
  Protocol protocol = Protocol::tcp;
  std::string host_ip;  ///< Empty: all of the node's.
  bool operator==(const ContainerPort&) const = default;
};

/// A key of a ConfigMap or a Secret, which one the field that holds this says.
struct KeySelector {
  std::string name;  ///< The object, in the pod's namespace.
  std::string key;
  std::optional<bool> optional;  ///< True: go on without it when it is missing.
  bool operator==(const KeySelector&) const = default;
};

/// metadata.name, metadata.labels['k'], status.podIP ...
struct FieldRef {
  std::string api_version = "v1";
  std::string field_path;
  bool operator==(const FieldRef&) const = default;
};

/// limits.cpu, requests.memory ... of a container.
struct ResourceFieldRef {
  std::string container_name;  ///< Empty in env: this container. Required in volumes.
  std::string resource;
  Quantity divisor;  ///< Zero: 1. The quotient is rounded up.
  bool operator==(const ResourceFieldRef&) const = default;
};

/// Exactly one is set in a valid pod. `unsupported` names a source the API has and this node has not.
struct EnvVarSource {
  std::optional<FieldRef> field_ref;
  std::optional<ResourceFieldRef> resource_field_ref;
  std::optional<KeySelector> config_map_key_ref;
  std::optional<KeySelector> secret_key_ref;
  std::string unsupported;
  bool operator==(const EnvVarSource&) const = default;
};

struct EnvVar {
  std::string name;
  std::string value;                       ///< `$(VAR)` names variables defined before it; `$$(` is a literal `$(`.
  std::optional<EnvVarSource> value_from;  ///< Only with an empty value.
  bool operator==(const EnvVar&) const = default;
};

/// A whole ConfigMap or Secret.
struct EnvObjectRef {
  std::string name;
  std::optional<bool> optional;
  bool operator==(const EnvObjectRef&) const = default;
};

/// Every key of one object becomes a variable. Exactly one of the two refs is set; env wins over envFrom, later over
/// earlier.
struct EnvFromSource {
  std::string prefix;
  std::optional<EnvObjectRef> config_map_ref;
  std::optional<EnvObjectRef> secret_ref;
  bool operator==(const EnvFromSource&) const = default;
};

struct ResourceRequirements {
  ResourceList limits;
  ResourceList requests;  ///< After defaulting, has every key that limits has.
  RawJson claims;         ///< Dynamic resources: carried; the pod is refused, see PodSpec::resource_claims.
  bool operator==(const ResourceRequirements&) const = default;
};

/// Whether a container must be made anew to get another amount of a resource.
struct ContainerResizePolicy {
  std::string resource_name;  ///< "cpu", "memory".
  ResizeRestart restart_policy = ResizeRestart::not_required;
  bool operator==(const ContainerResizePolicy&) const = default;
};

struct VolumeMount {
  std::string name;  ///< Of a volume of the pod.
  bool read_only = false;
  std::optional<RecursiveReadOnly> recursive_read_only;
  std::string mount_path;
  std::string sub_path;  ///< Relative, without "..". At most one of sub_path and sub_path_expr.
  std::optional<MountPropagation> mount_propagation;
  std::string sub_path_expr;  ///< The same with `$(VAR)` expanded.
  bool operator==(const VolumeMount&) const = default;
};

/// A raw block device.
struct VolumeDevice {
  std::string name;
  std::string device_path;
  bool operator==(const VolumeDevice&) const = default;
};

/// A container, init container or sidecar (an init container whose restart_policy is always).
struct Container {
  std::string name;
  std::string image;
  std::vector<std::string> command;  ///< In place of the image's entrypoint; then the image's cmd is not used.
  std::vector<std::string> args;     ///< In place of the image's cmd.
  std::string working_dir;
  std::vector<ContainerPort> ports;
  std::vector<EnvFromSource> env_from;
  std::vector<EnvVar> env;
  ResourceRequirements resources;
  std::vector<ContainerResizePolicy> resize_policy;
  std::optional<RestartPolicy> restart_policy;  ///< Only on init containers, and only `always`: a sidecar.
  std::vector<VolumeMount> volume_mounts;
  std::vector<VolumeDevice> volume_devices;
  std::optional<Probe> liveness_probe;
  std::optional<Probe> readiness_probe;
  std::optional<Probe> startup_probe;
  std::optional<Lifecycle> lifecycle;
  std::string termination_message_path = "/dev/termination-log";
  TerminationMessagePolicy termination_message_policy = TerminationMessagePolicy::file;
  std::optional<PullPolicy>
      image_pull_policy;  ///< Set after defaulting: always for :latest or no tag, else if_not_present.
  std::optional<SecurityContext> security_context;
  bool stdin_open = false;  ///< `stdin`.
  bool stdin_once = false;
  bool tty = false;

  bool is_sidecar() const { return restart_policy == RestartPolicy::always; }
  bool operator==(const Container&) const = default;
};

}  // namespace keelson::kube
