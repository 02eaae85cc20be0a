// SPDX-License-Identifier: Apache-2.0
#include "dataplane/translate/translator.h"

#include <gtest/gtest.h>

#include <random>

namespace keelson::dataplane {
namespace {

TranslateOptions on_node(const std::string& name) {
  TranslateOptions options{.node_name = name, .zone = "z1"};
  options.node_port_addresses = {*Address::parse("192.0.2.1")};
  return options;
}

// A small world, so that random steps meet: services and slices share few names, addresses and ports.
class RandomObjects {
 public:
  explicit RandomObjects(uint32_t seed) : random_(seed) {}

  bool flip() { return random_() % 2; }
  uint32_t below(uint32_t end) { return random_() % end; }

  kube::Service service() {
    kube::Service service;
    service.metadata = {.name = "s" + std::to_string(below(6)), .ns = flip() ? "m" : "n"};
    if (below(8) == 0) {
      service.metadata.labels[std::string(flip() ? kOtherProxyLabel : kHeadlessLabel)] = "";
    }
    service.type = flip() ? kube::ServiceType::load_balancer : kube::ServiceType::cluster_ip;
    service.cluster_ips = {"10.0.0." + std::to_string(below(4))};
    if (flip()) {
      service.cluster_ips.push_back("fd00::" + std::to_string(1 + below(4)));
    }
    service.cluster_ip = service.cluster_ips.front();
    service.external_traffic_policy = flip() ? kube::TrafficPolicy::local : kube::TrafficPolicy::cluster;
    service.health_check_node_port = static_cast<int32_t>(31000 + below(3));
    for (auto count = 1 + below(2); count > 0; count--) {
      service.ports.push_back({.name = "p" + std::to_string(count),
                               .port = static_cast<int32_t>(80 + below(2)),
                               .node_port = static_cast<int32_t>(30000 + below(3))});
    }
    return service;
  }

  kube::EndpointSlice slice() {
    kube::EndpointSlice slice;
    slice.metadata = {.name = "e" + std::to_string(below(10)), .ns = flip() ? "m" : "n"};
    if (below(10)) {
      slice.metadata.labels[std::string(kube::kServiceNameLabel)] = "s" + std::to_string(below(6));
    }
    if (below(10) == 0) {
      slice.metadata.labels[std::string(flip() ? kOtherProxyLabel : kHeadlessLabel)] = "x";
    }
    bool v6 = flip();
    slice.address_type = v6 ? kube::AddressType::ipv6 : kube::AddressType::ipv4;
    slice.ports.push_back({.name = "p" + std::to_string(1 + below(2)), .port = 8080});
    for (auto count = below(4); count > 0; count--) {
      kube::Endpoint endpoint;
      endpoint.addresses = {(v6 ? "fd01::" : "10.1.0.") + std::to_string(1 + below(5))};
      endpoint.ready = flip();
      endpoint.serving = flip();
      endpoint.node_name = flip() ? "a" : "b";
      slice.endpoints.push_back(endpoint);
    }
    return slice;
  }

 private:
  std::mt19937 random_;
};

ObjectChange random_change(RandomObjects& random, const ServiceObjects& objects) {
  ObjectChange change;
  std::map<std::string, kube::Service> services;
  std::map<std::string, kube::EndpointSlice> slices;
  for (auto count = random.below(3); count > 0; count--) {
    auto service = random.service();
    services[key_of(service.metadata)] = service;
    auto slice = random.slice();
    slices[key_of(slice.metadata)] = slice;
  }
  for (auto& [key, service] : services) {
    change.services.push_back(service);
  }
  for (auto& [key, slice] : slices) {
    change.slices.push_back(slice);
  }
  for (const auto& [key, service] : objects.services) {
    if (random.below(6) == 0 && !services.contains(key)) {
      change.removed_services.push_back(key);
    }
  }
  for (const auto& [key, slice] : objects.slices) {
    if (random.below(6) == 0 && !slices.contains(key)) {
      change.removed_slices.push_back(key);
    }
  }
  change.removed_services.emplace_back("n/never-was");
  change.all_services = random.below(20) == 0;
  change.all_slices = random.below(20) == 0;
  return change;
}

// Whatever comes in whatever pieces: the deltas together are the model of the objects that are there.
TEST(TranslatorTest, ChangesEndAtTheModelOfTheObjects) {
  for (uint32_t seed = 0; seed < 20; seed++) {
    RandomObjects random(seed);
    ServiceObjects objects;
    auto options = on_node("a");
    Translator translator(options);
    Model followed;
    for (int step = 0; step < 300; step++) {
      if (random.below(30) == 0) {
        options = on_node(random.flip() ? "a" : "b");
        options.zone = random.flip() ? "z1" : "";
        if (random.flip()) {
          apply(followed, translator.set_options(options));
        } else {
          translator.settle(options);
          followed = translator.model();
        }
      }
      auto change = random_change(random, objects);
      carry_out(objects, change);
      if (random.below(4) == 0) {
        translator.hold(change);
        change = random_change(random, objects);
        carry_out(objects, change);
      }
      apply(followed, translator.apply(change));
      auto afresh = translate(objects, options);
      ASSERT_EQ(followed.services, afresh.services) << "seed " << seed << " step " << step;
      ASSERT_EQ(translator.model(), afresh) << "seed " << seed << " step " << step;
      ASSERT_EQ(translator.service_count(), objects.services.size());
    }
  }
}

TEST(TranslatorTest, WhatChangesNothingIsNoDelta) {
  RandomObjects random(1);
  Translator translator(on_node("a"));
  ObjectChange change;
  for (int i = 0; i < 20; i++) {
    change.services.push_back(random.service());
    change.slices.push_back(random.slice());
  }
  EXPECT_FALSE(translator.apply(change).empty());
  EXPECT_TRUE(translator.apply(change).empty());
  EXPECT_TRUE(translator.set_options(on_node("a")).empty());
  ObjectChange none{.all_services = true, .all_slices = true};
  auto delta = translator.apply(none);
  EXPECT_TRUE(delta.changed.empty());
  EXPECT_FALSE(delta.removed.empty());
  EXPECT_TRUE(translator.model().services.empty());
  EXPECT_EQ(translator.service_count() + translator.slice_count(), 0u);
}

kube::Endpoint endpoint(const std::string& address, const std::string& pod) {
  kube::Endpoint endpoint;
  endpoint.addresses = {address};
  endpoint.node_name = "a";
  endpoint.target_kind = pod.empty() ? "" : "Pod";
  endpoint.target_ns = pod.empty() ? "" : "n";
  endpoint.target_name = pod;
  return endpoint;
}

class LeavingTest : public ::testing::Test {
 protected:
  LeavingTest() {
    service_.metadata = {.name = "s", .ns = "n"};
    service_.cluster_ip = "10.0.0.1";
    service_.cluster_ips = {"10.0.0.1"};
    service_.ports.push_back({.name = "p", .port = 80});
    slice_.metadata = {.name = "e", .ns = "n", .labels = {{std::string(kube::kServiceNameLabel), "s"}}};
    slice_.ports.push_back({.name = "p", .port = 8080});
    slice_.endpoints = {endpoint("10.1.0.1", "web-1"), endpoint("10.1.0.2", "web-2"), endpoint("10.1.0.3", "")};
  }

  void tell() { translator_.apply({.services = {service_}, .slices = {slice_}}); }
  /// The model if the slice said of these that they terminate.
  Model model_without(const std::vector<size_t>& places) const {
    auto slice = slice_;
    for (auto place : places) {
      slice.endpoints[place].ready = false;
      slice.endpoints[place].serving = true;
      slice.endpoints[place].terminating = true;
    }
    return translate({.services = {{"n/s", service_}}, .slices = {{"n/e", slice}}}, on_node("a"));
  }
  static LeavingPod pod(const std::string& name, const std::string& address) {
    return {.ns = "n", .name = name, .addresses = {address}};
  }

  kube::Service service_;
  kube::EndpointSlice slice_;
  Translator translator_{on_node("a")};
};

TEST_F(LeavingTest, APodThatLeavesIsAnEndpointThatTerminates) {
  tell();
  EXPECT_FALSE(translator_.set_leaving({pod("web-1", "10.1.0.1")}).empty());
  EXPECT_EQ(translator_.model(), model_without({0}));
  EXPECT_NE(translator_.model(), model_without({}));
  // A slice that does not know yet changes nothing of that, one that knows neither.
  slice_.metadata.labels["some"] = "change";
  tell();
  EXPECT_EQ(translator_.model(), model_without({0}));
  EXPECT_TRUE(translator_.set_leaving({pod("web-1", "10.1.0.1")}).empty());
  // An endpoint that names no pod is known by its address.
  translator_.set_leaving({pod("web-1", "10.1.0.1"), pod("other", "10.1.0.3")});
  EXPECT_EQ(translator_.model(), model_without({0, 2}));
  EXPECT_FALSE(translator_.set_leaving({}).empty());
  EXPECT_EQ(translator_.model(), model_without({}));
}

TEST_F(LeavingTest, AnotherPodWithTheAddressStays) {
  tell();
  EXPECT_TRUE(translator_.set_leaving({pod("older", "10.1.0.1")}).empty());
  auto on_host = pod("web-1", "10.1.0.3");
  on_host.on_host_network = true;
  EXPECT_TRUE(translator_.set_leaving({on_host}).empty());
}

TEST_F(LeavingTest, WithNobodyElseItIsUsedOn) {
  tell();
  translator_.set_leaving({pod("web-1", "10.1.0.1"), pod("web-2", "10.1.0.2"), pod("last", "10.1.0.3")});
  EXPECT_EQ(translator_.model(), model_without({0, 1, 2}));
  EXPECT_FALSE(translator_.model().services.begin()->second.backends.empty());
}

TEST_F(LeavingTest, AServiceThatPublishesAllAddressesKeepsIt) {
  service_.publish_not_ready_addresses = true;
  tell();
  EXPECT_TRUE(translator_.set_leaving({pod("web-1", "10.1.0.1")}).empty());
}

}  // namespace
}  // namespace keelson::dataplane
