// SPDX-License-Identifier: Apache-2.0
// API names of ConfigMap, Secret, Service and Event (see reader.h).
#pragma once

#include "kube/event.h"
#include "kube/fields_container.h"
#include "kube/objects.h"

namespace keelson::kube {

void fields(auto& v, Of<ConfigMap> auto& c) {
  v("metadata", c.metadata);
  v("immutable", c.immutable);
  v("data", c.data);
  v.base64("binaryData", c.binary_data);
}

void fields(auto& v, Of<Secret> auto& s) {
  v("metadata", s.metadata);
  v("immutable", s.immutable);
  v.base64("data", s.data);
  v.write_only("stringData", s.data);
  v("type", s.type);
}

void fields(auto& v, Of<ServicePort> auto& p) {
  v("name", p.name);
  v("protocol", p.protocol);
  v("appProtocol", p.app_protocol);
  v.always("port", p.port);
  v.always("targetPort", p.target_port);
  v("nodePort", p.node_port);
}

void fields(auto& v, Of<Service> auto& s) {
  v("metadata", s.metadata);
  v.object("spec", [&](auto& spec) {
    spec("type", s.type);
    spec("clusterIP", s.cluster_ip);
    spec("clusterIPs", s.cluster_ips);
    spec("ports", s.ports);
    spec("selector", s.selector);
    spec("sessionAffinity", s.session_affinity);
    spec("externalName", s.external_name);
    spec.ignored({"externalIPs", "loadBalancerIP", "loadBalancerSourceRanges", "externalTrafficPolicy",
                  "healthCheckNodePort", "publishNotReadyAddresses", "sessionAffinityConfig", "ipFamilies",
                  "ipFamilyPolicy", "allocateLoadBalancerNodePorts", "loadBalancerClass", "internalTrafficPolicy",
                  "trafficDistribution"});
  });
  v("status", s.status);
}

void fields(auto& v, Of<ObjectReference> auto& r) {
  v("kind", r.kind);
  v("namespace", r.ns);
  v("name", r.name);
  v("uid", r.uid);
  v("apiVersion", r.api_version);
  v("resourceVersion", r.resource_version);
  v("fieldPath", r.field_path);
}

void fields(auto& v, Of<Event> auto& e) {
  v("metadata", e.metadata);
  v("involvedObject", e.involved_object);
  v("reason", e.reason);
  v("message", e.message);
  v.object("source", [&](auto& source) {
    source("component", e.source_component);
    source("host", e.source_host);
  });
  v("firstTimestamp", e.first_timestamp);
  v("lastTimestamp", e.last_timestamp);
  v("count", e.count);
  v("type", e.type);
  v.ignored({"eventTime", "series", "action", "related", "reportingComponent", "reportingInstance"});
}

}  // namespace keelson::kube
