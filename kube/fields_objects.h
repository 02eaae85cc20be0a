// SPDX-License-Identifier: Apache-2.0
// API names of ConfigMap, Secret, RuntimeClass, Service, EndpointSlice, Node and Event (see reader.h).
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

void fields(auto& v, Of<RuntimeClass> auto& c) {
  v("metadata", c.metadata);
  v("handler", c.handler);
  v.object("overhead", [&](auto& overhead) { overhead("podFixed", c.overhead); });
  v.ignored({"scheduling"});
}

void fields(auto& v, Of<ServicePort> auto& p) {
  v("name", p.name);
  v("protocol", p.protocol);
  v("appProtocol", p.app_protocol);
  v.always("port", p.port);
  v.always("targetPort", p.target_port);
  v("nodePort", p.node_port);
}

void fields(auto& v, Of<LoadBalancerIngress> auto& i) {
  v("ip", i.ip);
  v("hostname", i.hostname);
  v("ipMode", i.ip_mode);
  v.ignored({"ports"});
}

void fields(auto& v, Of<Service> auto& s) {
  v("metadata", s.metadata);
  v.object("spec", [&](auto& spec) {
    spec("type", s.type);
    spec("clusterIP", s.cluster_ip);
    spec("clusterIPs", s.cluster_ips);
    spec("ipFamilies", s.ip_families);
    spec("ports", s.ports);
    spec("selector", s.selector);
    spec("sessionAffinity", s.session_affinity);
    spec.object("sessionAffinityConfig", [&](auto& config) {
      config.object("clientIP", [&](auto& client) { client("timeoutSeconds", s.affinity_seconds); });
    });
    spec("externalIPs", s.external_ips);
    spec("loadBalancerSourceRanges", s.load_balancer_source_ranges);
    spec("internalTrafficPolicy", s.internal_traffic_policy);
    spec("externalTrafficPolicy", s.external_traffic_policy);
    spec("healthCheckNodePort", s.health_check_node_port);
    spec("publishNotReadyAddresses", s.publish_not_ready_addresses);
    spec("trafficDistribution", s.traffic_distribution);
    spec("externalName", s.external_name);
    spec.ignored({"loadBalancerIP", "loadBalancerClass", "ipFamilyPolicy", "allocateLoadBalancerNodePorts"});
  });
  v.object("status", [&](auto& status) {
    status.object("loadBalancer", [&](auto& balancer) { balancer("ingress", s.ingress); });
    status.ignored({"conditions"});
  });
}

void fields(auto& v, Of<Endpoint> auto& e) {
  v("addresses", e.addresses);
  v.object("conditions", [&](auto& conditions) {
    conditions("ready", e.ready);
    conditions("serving", e.serving);
    conditions("terminating", e.terminating);
  });
  v("hostname", e.hostname);
  v("nodeName", e.node_name);
  v("zone", e.zone);
  v.object("hints", [&](auto& hints) {
    hints.names("forZones", "name", e.zone_hints);
    hints.names("forNodes", "name", e.node_hints);
  });
  v.object("targetRef", [&](auto& target) {
    target("kind", e.target_kind);
    target("namespace", e.target_ns);
    target("name", e.target_name);
    target.ignored({"uid", "apiVersion", "resourceVersion", "fieldPath"});
  });
  v.ignored({"deprecatedTopology"});
}

void fields(auto& v, Of<EndpointPort> auto& p) {
  v("name", p.name);
  v("protocol", p.protocol);
  v("port", p.port);
  v("appProtocol", p.app_protocol);
}

void fields(auto& v, Of<EndpointSlice> auto& s) {
  v("metadata", s.metadata);
  v("addressType", s.address_type);
  v("endpoints", s.endpoints);
  v("ports", s.ports);
}

void fields(auto& v, Of<Taint> auto& t) {
  v.always("key", t.key);
  v("value", t.value);
  v.always("effect", t.effect);
  v("timeAdded", t.time_added);
}

void fields(auto& v, Of<NodeAddress> auto& a) {
  v.always("type", a.type);
  v.always("address", a.address);
}

void fields(auto& v, Of<Node> auto& n) {
  v("metadata", n.metadata);
  v.object("spec", [&](auto& spec) {
    spec("podCIDRs", n.pod_cidrs);
    spec.first_of("podCIDR", n.pod_cidrs);
    spec("unschedulable", n.unschedulable);
    spec("taints", n.taints);
    spec.ignored({"providerID", "configSource", "externalID"});
  });
  v.object("status", [&](auto& status) {
    status("addresses", n.addresses);
    status.object("features",
                  [&](auto& features) { features("supplementalGroupsPolicy", n.supplemental_groups_policy); });
    status.ignored({"allocatable", "capacity", "conditions", "config", "daemonEndpoints", "declaredFeatures", "images",
                    "nodeInfo", "phase", "runtimeHandlers", "volumesAttached", "volumesInUse"});
  });
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
  v("reportingComponent", e.reporting_component);
  v("reportingInstance", e.reporting_instance);
  v.ignored({"eventTime", "series", "action", "related"});
}

}  // namespace keelson::kube
