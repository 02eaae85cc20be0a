// SPDX-License-Identifier: Apache-2.0
// API names of the whole Node, of Lease and of CertificateSigningRequest (see reader.h).
#pragma once

#include "kube/certificate_request.h"
#include "kube/fields_objects.h"
#include "kube/full_node.h"
#include "kube/lease.h"

namespace keelson::kube {

void fields(auto& v, Of<NodeCondition> auto& c) {
  v.always("type", c.type);
  v.always("status", c.status);
  v("lastHeartbeatTime", c.last_heartbeat_time);
  v("lastTransitionTime", c.last_transition_time);
  v("reason", c.reason);
  v("message", c.message);
}

void fields(auto& v, Of<NodeSystemInfo> auto& i) {
  v.always("machineID", i.machine_id);
  v.always("systemUUID", i.system_uuid);
  v.always("bootID", i.boot_id);
  v.always("kernelVersion", i.kernel_version);
  v.always("osImage", i.os_image);
  v.always("containerRuntimeVersion", i.container_runtime_version);
  v.always("kubeletVersion", i.kubelet_version);
  v.always("operatingSystem", i.operating_system);
  v.always("architecture", i.architecture);
  v.object("swap", [&](auto& swap) { swap("capacity", i.swap_capacity); });
  v.ignored({"kubeProxyVersion"});
}

void fields(auto& v, Of<NodeImage> auto& i) {
  v("names", i.names);
  v("sizeBytes", i.size_bytes);
}

void fields(auto& v, Of<NodeRuntimeHandler> auto& h) {
  v.always("name", h.name);
  v.object("features", [&](auto& features) {
    features("recursiveReadOnlyMounts", h.recursive_read_only_mounts);
    features("userNamespaces", h.user_namespaces);
  });
}

void fields(auto& v, Of<AttachedVolume> auto& a) {
  v.always("name", a.name);
  v.always("devicePath", a.device_path);
}

void fields(auto& v, Of<NodeStatus> auto& s) {
  v("capacity", s.capacity);
  v("allocatable", s.allocatable);
  v("conditions", s.conditions);
  v("addresses", s.addresses);
  v.object("daemonEndpoints",
           [&](auto& all) { all.object("kubeletEndpoint", [&](auto& one) { one("Port", s.kubelet_port); }); });
  v("nodeInfo", s.node_info);
  v("images", s.images);
  v("volumesInUse", s.volumes_in_use);
  v("volumesAttached", s.volumes_attached);
  v("runtimeHandlers", s.runtime_handlers);
  v.object("features", [&](auto& features) { features("supplementalGroupsPolicy", s.supplemental_groups_policy); });
  v.ignored({"config", "declaredFeatures", "phase"});
}

void fields(auto& v, Of<FullNode> auto& n) {
  v("metadata", n.metadata);
  v.object("spec", [&](auto& spec) {
    spec("providerID", n.provider_id);
    spec("podCIDRs", n.pod_cidrs);
    spec.first_of("podCIDR", n.pod_cidrs);
    spec("unschedulable", n.unschedulable);
    spec("taints", n.taints);
    spec.ignored({"configSource", "externalID"});
  });
  v("status", n.status);
}

void fields(auto& v, Of<Lease> auto& l) {
  v("metadata", l.metadata);
  v.object("spec", [&](auto& spec) {
    spec("holderIdentity", l.holder_identity);
    spec("leaseDurationSeconds", l.lease_duration_seconds);
    spec.micro_time("acquireTime", l.acquire_time);
    spec.micro_time("renewTime", l.renew_time);
    spec("leaseTransitions", l.lease_transitions);
    spec.ignored({"preferredHolder", "strategy"});
  });
}

void fields(auto& v, Of<CertificateCondition> auto& c) {
  v.always("type", c.type);
  v.always("status", c.status);
  v("reason", c.reason);
  v("message", c.message);
  v.ignored({"lastTransitionTime", "lastUpdateTime"});
}

void fields(auto& v, Of<CertificateRequest> auto& r) {
  v("metadata", r.metadata);
  v.object("spec", [&](auto& spec) {
    spec.base64("request", r.request_pem);
    spec("signerName", r.signer_name);
    spec("usages", r.usages);
    spec("expirationSeconds", r.expiration_seconds);
    spec.ignored({"username", "uid", "groups", "extra"});
  });
  v.object("status", [&](auto& status) {
    status("conditions", r.conditions);
    status.base64("certificate", r.certificate_pem);
  });
}

}  // namespace keelson::kube
