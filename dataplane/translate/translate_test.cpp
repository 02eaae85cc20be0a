// SPDX-License-Identifier: Apache-2.0
#include "dataplane/translate/translate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "kube/codec.h"

namespace keelson::dataplane {
namespace {

ServiceObjects objects_of(const std::string& yaml) {
  ServiceObjects objects;
  for (const auto& document : kube::decode_documents(yaml, "test.yaml")) {
    for (const auto& error : document.errors) {
      ADD_FAILURE() << error.message();
    }
    if (!document.object) {
      continue;
    }
    if (const auto* service = std::get_if<kube::Service>(&*document.object)) {
      objects.services[key_of(service->metadata)] = *service;
    }
    if (const auto* slice = std::get_if<kube::EndpointSlice>(&*document.object)) {
      objects.slices[key_of(slice->metadata)] = *slice;
    }
  }
  return objects;
}

TranslateOptions on_node_a() {
  TranslateOptions options{.node_name = "a", .zone = "z1"};
  options.node_port_addresses = {*Address::parse("192.0.2.1"), *Address::parse("fd00::1")};
  return options;
}

// "10.0.0.1:80 pod=cluster node=cluster outside=cluster+masquerade", one a line.
std::string frontends(const Service& service) {
  std::string text;
  const char* verdicts[] = {"cluster", "local", "reject", "drop"};
  const char* senders[] = {"pod", "node", "outside"};
  for (const auto& frontend : service.frontends) {
    text += std::string(to_string(frontend.kind)) + " " + frontend.address.to_string() + ":" +
            std::to_string(frontend.port);
    for (int from = 0; from < 3; from++) {
      text += std::string(" ") + senders[from] + "=" + verdicts[static_cast<int>(frontend.uses[from].verdict)];
      if (frontend.uses[from].masquerade) {
        text += "+masquerade";
      }
    }
    for (const auto& range : frontend.source_ranges) {
      text += " " + range.to_string();
    }
    text += "\n";
  }
  return text;
}

std::string pool(const Service& service, const std::vector<uint32_t>& places) {
  std::string text;
  for (auto place : places) {
    text += (text.empty() ? "" : " ") + service.backends[place].address.to_string();
  }
  return text;
}

const Service& only(const Model& model) {
  EXPECT_EQ(model.services.size(), 1u);
  return model.services.begin()->second;
}

std::string service_yaml(const std::string& spec) {
  return "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {clusterIP: 10.0.0.1, ports: [{port: 80, "
         "nodePort: 30080}], " +
         spec + "}\n";
}

std::string slice_yaml(const std::string& endpoints) {
  return "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: web-1, labels: "
         "{kubernetes.io/service-name: web}}\n"
         "addressType: IPv4\nports: [{port: 8080}]\nendpoints: [" +
         endpoints + "]\n";
}

const char* const kHereAndThere = "{addresses: [10.1.0.1], nodeName: a}, {addresses: [10.1.0.2], nodeName: b}";

Model model_of(const std::string& spec, const std::string& endpoints, const std::string& status = "") {
  return translate(objects_of(service_yaml(spec) + status + slice_yaml(endpoints)), on_node_a());
}

TEST(TranslateTest, ClusterIp) {
  auto model = model_of("type: ClusterIP", kHereAndThere);
  const auto& service = only(model);
  EXPECT_EQ(model.services.begin()->first.name, "default/web");
  EXPECT_EQ(frontends(service), "ClusterIP 10.0.0.1:80 pod=cluster node=cluster outside=cluster+masquerade\n");
  EXPECT_EQ(pool(service, service.cluster), "10.1.0.1 10.1.0.2");
  EXPECT_EQ(pool(service, service.local), "10.1.0.1");
  EXPECT_TRUE(service.backends[0].local);
  EXPECT_EQ(service.backends[0].port, 8080);
}

TEST(TranslateTest, WhoIsNotRouted) {
  for (const char* service : {"metadata: {name: web}\nspec: {clusterIP: None, ports: [{port: 80}]}",
                              "metadata: {name: web}\nspec: {ports: [{port: 80}]}",
                              "metadata: {name: web}\nspec: {type: ExternalName, externalName: a.b}",
                              "metadata: {name: web, labels: {service.kubernetes.io/service-proxy-name: x}}\nspec: "
                              "{clusterIP: 10.0.0.1, ports: [{port: 80}]}",
                              "metadata: {name: web, labels: {service.kubernetes.io/headless: \"\"}}\nspec: "
                              "{clusterIP: 10.0.0.1, ports: [{port: 80}]}"}) {
    auto objects =
        objects_of(std::string("apiVersion: v1\nkind: Service\n") + service + "\n" + slice_yaml(kHereAndThere));
    EXPECT_TRUE(translate(objects, on_node_a()).services.empty()) << service;
  }
}

TEST(TranslateTest, SlicesThatDoNotCount) {
  for (const char* label : {"service.kubernetes.io/service-proxy-name: x", "service.kubernetes.io/headless: \"\""}) {
    auto slice = slice_yaml(kHereAndThere);
    slice.insert(slice.find("labels: {") + 9, std::string(label) + ", ");
    auto model = translate(objects_of(service_yaml("type: ClusterIP") + slice), on_node_a());
    EXPECT_TRUE(only(model).backends.empty()) << label;
  }
}

// As kube-proxy has it: external addresses under Local keep the source, whoever sends.
TEST(TranslateTest, MasqueradeAllIsOfClusterIps) {
  auto options = on_node_a();
  options.masquerade_all = true;
  auto objects = objects_of(service_yaml("type: NodePort, externalTrafficPolicy: Local") + slice_yaml(kHereAndThere));
  EXPECT_EQ(frontends(only(translate(objects, options))),
            "ClusterIP 10.0.0.1:80 pod=cluster+masquerade node=cluster+masquerade outside=cluster+masquerade\n"
            "NodePort 192.0.2.1:30080 pod=cluster node=cluster+masquerade outside=local\n");
}

TEST(TranslateTest, NodePortAndExternalPolicies) {
  auto cluster = model_of("type: NodePort", kHereAndThere);
  EXPECT_EQ(frontends(only(cluster)),
            "ClusterIP 10.0.0.1:80 pod=cluster node=cluster outside=cluster+masquerade\n"
            "NodePort 192.0.2.1:30080 pod=cluster+masquerade node=cluster+masquerade outside=cluster+masquerade\n");
  auto local = model_of("type: NodePort, externalTrafficPolicy: Local", kHereAndThere);
  EXPECT_EQ(frontends(only(local)),
            "ClusterIP 10.0.0.1:80 pod=cluster node=cluster outside=cluster+masquerade\n"
            "NodePort 192.0.2.1:30080 pod=cluster node=cluster+masquerade outside=local\n");
  auto nobody_here = model_of("type: NodePort, externalTrafficPolicy: Local", "{addresses: [10.1.0.2], nodeName: b}");
  EXPECT_EQ(frontends(only(nobody_here)),
            "ClusterIP 10.0.0.1:80 pod=cluster node=cluster outside=cluster+masquerade\n"
            "NodePort 192.0.2.1:30080 pod=cluster node=cluster+masquerade outside=drop\n");
}

TEST(TranslateTest, InternalPolicyLocal) {
  auto here = model_of("internalTrafficPolicy: Local", kHereAndThere);
  EXPECT_EQ(frontends(only(here)), "ClusterIP 10.0.0.1:80 pod=local node=local outside=local+masquerade\n");
  auto there = model_of("internalTrafficPolicy: Local", "{addresses: [10.1.0.2], nodeName: b}");
  EXPECT_EQ(frontends(only(there)), "ClusterIP 10.0.0.1:80 pod=drop node=drop outside=drop+masquerade\n");
}

TEST(TranslateTest, NobodyIsRefused) {
  auto model = model_of("type: NodePort, externalTrafficPolicy: Local",
                        "{addresses: [10.1.0.1], nodeName: a, conditions: {ready: false}}");
  EXPECT_EQ(frontends(only(model)),
            "ClusterIP 10.0.0.1:80 pod=reject node=reject outside=reject+masquerade\n"
            "NodePort 192.0.2.1:30080 pod=reject node=reject+masquerade outside=reject\n");
  EXPECT_FALSE(only(model).backends.at(0).serving);
}

TEST(TranslateTest, ExternalIpsAndLoadBalancers) {
  auto model = model_of(
      "type: LoadBalancer, externalIPs: [203.0.113.1, fd00::9], loadBalancerSourceRanges: [\" 198.51.100.0/24 \", "
      "\"fd00::/8\"]",
      kHereAndThere,
      "status: {loadBalancer: {ingress: [{ip: 203.0.113.5}, {ip: 203.0.113.6, ipMode: Proxy}, {hostname: x.y}, {ip: "
      "203.0.113.7, "
      "ipMode: VIP}]}}\n");
  EXPECT_EQ(frontends(only(model)),
            "ClusterIP 10.0.0.1:80 pod=cluster node=cluster outside=cluster+masquerade\n"
            "NodePort 192.0.2.1:30080 pod=cluster+masquerade node=cluster+masquerade outside=cluster+masquerade\n"
            "ExternalIP 203.0.113.1:80 pod=cluster+masquerade node=cluster+masquerade outside=cluster+masquerade\n"
            "LoadBalancer 203.0.113.5:80 pod=cluster+masquerade node=cluster+masquerade outside=cluster+masquerade "
            "198.51.100.0/24\n"
            "LoadBalancer 203.0.113.7:80 pod=cluster+masquerade node=cluster+masquerade outside=cluster+masquerade "
            "198.51.100.0/24\n");
}

TEST(TranslateTest, TerminatingOnesAreTheLastResort) {
  const std::string ends =
      "{addresses: [10.1.0.1], nodeName: a, conditions: {ready: false, serving: true, terminating: true}}";
  auto mixed = model_of("type: ClusterIP", ends + ", {addresses: [10.1.0.2], nodeName: b}");
  EXPECT_EQ(pool(only(mixed), only(mixed).cluster), "10.1.0.2");
  EXPECT_EQ(pool(only(mixed), only(mixed).local), "10.1.0.1");
  EXPECT_TRUE(only(mixed).backends[0].serving);
  auto alone = model_of("type: ClusterIP", ends);
  EXPECT_EQ(pool(only(alone), only(alone).cluster), "10.1.0.1");
}

TEST(TranslateTest, Hints) {
  auto hinted = [](const char* address, const char* hints) {
    return std::string("{addresses: [") + address + "], hints: {" + hints + "}}";
  };
  auto pool_of = [&](const std::string& endpoints) {
    auto model = model_of("type: ClusterIP", endpoints);
    return pool(only(model), only(model).cluster);
  };
  auto z1 = hinted("10.1.0.1", "forZones: [{name: z1}]"), z2 = hinted("10.1.0.2", "forZones: [{name: z2}]");
  EXPECT_EQ(pool_of(z1 + "," + z2), "10.1.0.1");
  EXPECT_EQ(pool_of(z2), "10.1.0.2");  // None for this zone: all.
  EXPECT_EQ(pool_of(z1 + "," + z2 + ", {addresses: [10.1.0.3]}"), "10.1.0.1 10.1.0.2 10.1.0.3");
  auto node = hinted("10.1.0.4", "forZones: [{name: z1}], forNodes: [{name: a}]");
  auto other = hinted("10.1.0.5", "forZones: [{name: z1}], forNodes: [{name: b}]");
  EXPECT_EQ(pool_of(node + "," + other), "10.1.0.4");
  EXPECT_EQ(pool_of(other), "10.1.0.5");
}

TEST(TranslateTest, PortsByNameAndFamilies) {
  auto objects = objects_of(R"(
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  clusterIPs: [10.0.0.1, "fd96::1"]
  sessionAffinity: ClientIP
  ports: [{name: http, port: 80}, {name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-4, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}, {name: dns, port: 5353, protocol: UDP}]
endpoints: [{addresses: [10.1.0.1]}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-4b, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 9090}, {name: dns-tcp}]
endpoints: [{addresses: [10.1.0.2]}, {addresses: [10.1.0.1]}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-6, labels: {kubernetes.io/service-name: web}}
addressType: IPv6
ports: [{name: http, port: 8080}]
endpoints: [{addresses: ["fd01::1"]}]
)");
  auto model = translate(objects, on_node_a());
  ASSERT_EQ(model.services.size(), 6u);
  const auto& http = model.services.at({"default/web:http", Family::ipv4});
  ASSERT_EQ(http.backends.size(), 3u);
  EXPECT_EQ(http.backends[0].port, 8080);
  EXPECT_EQ(http.backends[1].port, 9090);
  EXPECT_EQ(http.affinity_seconds, 10800u);
  EXPECT_EQ(model.services.at({"default/web:dns", Family::ipv4}).backends.size(), 1u);
  EXPECT_TRUE(model.services.at({"default/web:dns-tcp", Family::ipv4}).backends.empty());
  EXPECT_EQ(model.services.at({"default/web:http", Family::ipv6}).frontends[0].address, *Address::parse("fd96::1"));
}

TEST(TranslateTest, HealthChecks) {
  auto model = model_of(
      "type: LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: 32000",
      std::string(kHereAndThere) +
          ", {addresses: [10.1.0.3], nodeName: a, conditions: {ready: false, serving: true, terminating: true}}");
  ASSERT_EQ(model.health_checks.size(), 1u);
  EXPECT_EQ(model.health_checks.at(32000), (HealthCheck{"default", "web", 1}));
  EXPECT_TRUE(model_of("type: LoadBalancer, healthCheckNodePort: 32000", kHereAndThere).health_checks.empty());
}

TEST(TranslateTest, WithDsrBackendsSayOnWhichNodeTheyAre) {
  auto objects = objects_of(service_yaml("type: NodePort") + "---\n" + slice_yaml(kHereAndThere));
  auto options = on_node_a();
  EXPECT_TRUE(only(translate(objects, options)).backends.back().node.is_unspecified());
  options.forwarding = Forwarding::dsr;
  options.nodes["b"] = {*Address::parse("fd00::2"), *Address::parse("192.0.2.2")};
  auto service = only(translate(objects, options));
  EXPECT_EQ(service.forwarding, Forwarding::dsr);
  for (const auto& backend : service.backends) {
    EXPECT_EQ(backend.node, backend.local ? Address() : *Address::parse("192.0.2.2"));
  }
}

// Random objects: nobody takes new flows who may not, and every verdict has somebody to carry it out.
TEST(TranslateTest, RandomServicesHoldTheInvariants) {
  std::mt19937 random(5);
  for (int round = 0; round < 20'000; round++) {
    kube::Service service;
    service.metadata = {.name = "s", .ns = "n"};
    service.type = random() % 2 ? kube::ServiceType::load_balancer : kube::ServiceType::cluster_ip;
    service.cluster_ip = "10.0.0.1";
    service.cluster_ips = {"10.0.0.1"};
    service.internal_traffic_policy = random() % 2 ? kube::TrafficPolicy::local : kube::TrafficPolicy::cluster;
    service.external_traffic_policy = random() % 2 ? kube::TrafficPolicy::local : kube::TrafficPolicy::cluster;
    service.ports.push_back({.port = 80, .node_port = 30000});
    kube::EndpointSlice slice;
    slice.ports.push_back({.port = 80});
    for (auto count = random() % 5; count-- > 0;) {
      kube::Endpoint endpoint;
      endpoint.addresses = {"10.1.0." + std::to_string(random() % 6)};
      endpoint.node_name = random() % 2 ? "a" : "b";
      if (random() % 2) {
        endpoint.ready = random() % 2;
      }
      if (random() % 2) {
        endpoint.serving = random() % 2;
      }
      if (random() % 2) {
        endpoint.terminating = random() % 2;
      }
      if (random() % 2) {
        endpoint.zone_hints = {random() % 2 ? "z1" : "z2"};
      }
      slice.endpoints.push_back(endpoint);
    }
    for (const auto& [key, routed] : translate(service, {&slice}, on_node_a())) {
      ASSERT_TRUE(std::ranges::is_sorted(routed.backends));
      for (auto place : routed.cluster) {
        ASSERT_TRUE(routed.backends.at(place).serving);
      }
      for (auto place : routed.local) {
        ASSERT_TRUE(routed.backends.at(place).local && routed.backends.at(place).serving);
      }
      for (const auto& frontend : routed.frontends) {
        for (const auto& use : frontend.uses) {
          ASSERT_TRUE(use.verdict != Verdict::cluster || !routed.cluster.empty());
          ASSERT_TRUE(use.verdict != Verdict::local || !routed.local.empty());
          ASSERT_TRUE(use.verdict != Verdict::drop || (!routed.cluster.empty() && routed.local.empty()));
          ASSERT_TRUE(use.verdict != Verdict::reject || routed.cluster.empty() || routed.local.empty());
        }
      }
    }
  }
}

}  // namespace
}  // namespace keelson::dataplane
