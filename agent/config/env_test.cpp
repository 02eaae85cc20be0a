// SPDX-License-Identifier: Apache-2.0
// Where variables come from, and which wins.
#include "agent/config/env.h"

#include <gtest/gtest.h>

namespace keelson::agent {
namespace {

class EnvTest : public ::testing::Test {
 protected:
  EnvTest() {
    pod.metadata = {.name = "web", .ns = "shop", .uid = "u1"};
    pod.spec.enable_service_links = false;
    container.name = "main";
    objects.config_maps["shop/c"].data = {{"A", "map a"}, {"B", "map b"}};
    objects.secrets["shop/s"].data = {{"B", "secret b"}, {"C", "secret c"}};
  }
  Result<Environment> make() { return make_environment(pod, container, objects, {"192.0.2.7"}, node); }
  void add_service(const std::string& ns, const std::string& name, const std::string& ip,
                   std::vector<kube::ServicePort> ports) {
    auto& service = objects.services[ns + "/" + name];
    service.metadata.ns = ns;
    service.metadata.name = name;
    service.cluster_ip = ip;
    service.ports = std::move(ports);
  }
  static kube::EnvFromSource all_of_map(const std::string& name, std::optional<bool> optional = {}) {
    return {.config_map_ref = kube::EnvObjectRef{.name = name, .optional = optional}};
  }
  static kube::EnvFromSource all_of_secret(const std::string& name) {
    return {.secret_ref = kube::EnvObjectRef{.name = name}};
  }
  static kube::EnvVar from_map(const std::string& key, std::optional<bool> optional = {},
                               const std::string& name = "c") {
    kube::EnvVarSource source;
    source.config_map_key_ref = kube::KeySelector{.name = name, .key = key, .optional = optional};
    return {.name = "X", .value_from = source};
  }

  kube::Pod pod;
  kube::Container container;
  kube::DesiredState objects;
  NodeFacts node{.name = "n1", .ips = {"192.0.2.1"}};
};

TEST_F(EnvTest, LaterWinsAndKeepsThePlace) {
  container.env_from = {all_of_map("c"), all_of_secret("s")};
  container.env = {{.name = "A", .value = "own"}, {.name = "D", .value = "d"}};
  EXPECT_EQ(make().value(), (Environment{{"A", "own"}, {"B", "secret b"}, {"C", "secret c"}, {"D", "d"}}));
  container.env_from = {all_of_secret("s"), all_of_map("c")};
  container.env.clear();
  EXPECT_EQ(make().value(), (Environment{{"B", "map b"}, {"C", "secret c"}, {"A", "map a"}}));
}

TEST_F(EnvTest, APrefixIsPutBefore) {
  auto source = all_of_map("c");
  source.prefix = "P_";
  container.env_from = {source};
  EXPECT_EQ(make().value(), (Environment{{"P_A", "map a"}, {"P_B", "map b"}}));
}

TEST_F(EnvTest, ExpansionSeesWhatStandsBefore) {
  container.env_from = {all_of_map("c")};
  container.env = {{.name = "X", .value = "<$(A)> $(LATER) $$(A) $A $(open"}, {.name = "LATER", .value = "$(X)"}};
  auto made = make().value();
  EXPECT_EQ(made[2].second, "<map a> $(LATER) $(A) $A $(open");
  EXPECT_EQ(made[3].second, "<map a> $(LATER) $(A) $A $(open");
}

TEST_F(EnvTest, WhatIsMissing) {
  container.env_from = {all_of_map("none")};
  EXPECT_EQ(make().error().message(), "configmap \"none\" not found");
  EXPECT_EQ(make().error().kind(), Kind::invalid);
  container.env_from = {all_of_secret("none")};
  EXPECT_EQ(make().error().message(), "secret \"none\" not found");
  container.env_from = {all_of_map("none", true)};
  EXPECT_EQ(make().value(), Environment{});
  container.env_from.clear();
  container.env = {from_map("A")};
  EXPECT_EQ(make().value(), (Environment{{"X", "map a"}}));
  container.env = {from_map("Z")};
  EXPECT_EQ(make().error().message(), "couldn't find key Z in ConfigMap shop/c");
  container.env = {from_map("A", std::nullopt, "none")};
  EXPECT_EQ(make().error().message(), "configmap \"none\" not found");
  container.env = {from_map("Z", true), from_map("A", true, "none")};
  EXPECT_EQ(make().value(), Environment{});
}

TEST_F(EnvTest, FieldsOfThePod) {
  kube::EnvVarSource ip;
  ip.field_ref = kube::FieldRef{.field_path = "status.podIP"};
  container.env = {{.name = "IP", .value_from = ip}, {.name = "URL", .value = "http://$(IP)/"}};
  EXPECT_EQ(make().value(), (Environment{{"IP", "192.0.2.7"}, {"URL", "http://192.0.2.7/"}}));
}

TEST_F(EnvTest, ASourceThatIsNotKnownIsNoEmptyVariable) {
  kube::EnvVarSource file;
  file.unsupported = "fileKeyRef";
  container.env = {{.name = "X", .value_from = file}};
  EXPECT_EQ(make().error().message(), "env X: this node does not support valueFrom fileKeyRef");
  EXPECT_EQ(make().error().kind(), Kind::invalid);
  container.env = {{.name = "X", .value_from = kube::EnvVarSource{}}};
  EXPECT_EQ(make().error().message(), "env X: this node does not support valueFrom of a source that it does not know");
}

TEST_F(EnvTest, ServicesAsTheKubeletTellsThem) {
  add_service("shop", "my-db", "198.51.100.4", {{.name = "sql-x", .port = 5432}});
  add_service("other", "far", "198.51.100.5", {{.port = 1}});
  add_service("shop", "headless", "None", {{.port = 1}});
  EXPECT_EQ(make().value(), Environment{});
  pod.spec.enable_service_links = true;
  EXPECT_EQ(make().value(), (Environment{{"MY_DB_SERVICE_HOST", "198.51.100.4"},
                                         {"MY_DB_SERVICE_PORT", "5432"},
                                         {"MY_DB_SERVICE_PORT_SQL_X", "5432"},
                                         {"MY_DB_PORT", "tcp://198.51.100.4:5432"},
                                         {"MY_DB_PORT_5432_TCP", "tcp://198.51.100.4:5432"},
                                         {"MY_DB_PORT_5432_TCP_PROTO", "tcp"},
                                         {"MY_DB_PORT_5432_TCP_PORT", "5432"},
                                         {"MY_DB_PORT_5432_TCP_ADDR", "198.51.100.4"}}));
  container.env = {{.name = "MY_DB_PORT", .value = "own"}};
  EXPECT_EQ(make().value()[3].second, "own");
}

TEST_F(EnvTest, TheMasterIsAlwaysTold) {
  add_service("default", "kubernetes", "198.51.100.1", {{.name = "https", .port = 443}});
  EXPECT_EQ(make().value().front().first, "KUBERNETES_SERVICE_HOST");
}

}  // namespace
}  // namespace keelson::agent
