// SPDX-License-Identifier: Apache-2.0
// The downward API's values.
#include "agent/config/field_values.h"

#include <gtest/gtest.h>

#include "agent/config/go_quote.h"

namespace keelson::agent {
namespace {

const NodeFacts kNode{.name = "n1",
                      .ips = {"192.0.2.1", "2001:db8::1"},
                      .allocatable_cpu_milli = 1500,
                      .allocatable_memory = 1 << 30,
                      .allocatable_storage = int64_t{9} << 30};

kube::Pod web() {
  kube::Pod pod;
  pod.metadata = {.name = "web", .ns = "shop", .uid = "u1", .labels = {{"app", "x"}, {"tier", "y\"z"}}};
  pod.metadata.annotations = {{"example.test/note", "two\nlines"}};
  pod.spec.service_account_name = "robot";
  pod.spec.containers.emplace_back();
  pod.spec.containers[0].name = "main";
  pod.spec.containers[0].resources.limits = {{"memory", kube::Quantity::of(100'000'000)}};
  pod.spec.containers[0].resources.requests = {{"cpu", kube::Quantity::of_milli(250)}};
  return pod;
}

TEST(FieldValues, EveryPath) {
  const std::vector<std::string> ips = {"192.0.2.7", "2001:db8::7"};
  for (const auto& [path, value] :
       std::map<std::string, std::string>{{"metadata.name", "web"},
                                          {"metadata.namespace", "shop"},
                                          {"metadata.uid", "u1"},
                                          {"metadata.labels", "app=\"x\"\ntier=\"y\\\"z\""},
                                          {"metadata.labels['app']", "x"},
                                          {"metadata.labels['none']", ""},
                                          {"metadata.annotations", "example.test/note=\"two\\nlines\""},
                                          {"metadata.annotations['example.test/note']", "two\nlines"},
                                          {"spec.nodeName", "n1"},
                                          {"spec.serviceAccountName", "robot"},
                                          {"status.hostIP", "192.0.2.1"},
                                          {"status.hostIPs", "192.0.2.1,2001:db8::1"},
                                          {"status.podIP", "192.0.2.7"},
                                          {"status.podIPs", "192.0.2.7,2001:db8::7"}}) {
    EXPECT_EQ(field_value(web(), ips, kNode, path).value(), value) << path;
  }
  EXPECT_EQ(field_value(web(), ips, kNode, "status.phase").error().kind(), Kind::invalid);
  auto on_host = web();
  on_host.spec.host_network = true;
  EXPECT_EQ(field_value(on_host, {}, kNode, "status.podIP").value(), "192.0.2.1");
}

TEST(FieldValues, ResourcesInUnitsRoundedUp) {
  auto pod = web();
  auto value = [&](const std::string& resource, const char* divisor) {
    return resource_value(
               pod, pod.spec.containers[0], kNode,
               {.container_name = "", .resource = resource, .divisor = kube::Quantity::parse(divisor).value()})
        .value_or("wrong");
  };
  EXPECT_EQ(value("limits.memory", "1"), "100000000");
  EXPECT_EQ(value("limits.memory", "1Mi"), "96");
  EXPECT_EQ(value("requests.cpu", "1"), "1");
  EXPECT_EQ(value("requests.cpu", "1m"), "250");
  EXPECT_EQ(value("limits.cpu", "1m"), "1500");
  EXPECT_EQ(value("requests.memory", "1"), "0");
  EXPECT_EQ(value("usage.cpu", "1"), "wrong");
  EXPECT_EQ(value("limits.ephemeral-storage", "1Gi"), "9");
  EXPECT_EQ(value("requests.ephemeral-storage", "1"), "0");
  pod.spec.containers[0].resources.limits["ephemeral-storage"] = kube::Quantity::of(0);
  EXPECT_EQ(value("limits.ephemeral-storage", "1Gi"), "9") << "a limit of nothing is none";
  pod.spec.containers[0].resources.limits["ephemeral-storage"] = kube::Quantity::of(int64_t{2} << 30);
  EXPECT_EQ(value("limits.ephemeral-storage", "1Gi"), "2");
}

TEST(FieldValues, MapsAreQuotedAsGoQuotes) {
  EXPECT_EQ(go_quoted(std::string_view("a\tb\rc\a\0\x7f\x1b", 9)), R"("a\tb\rc\a\x00\x7f\x1b")");
  EXPECT_EQ(go_quoted("\xff\xc3"), R"("\xff\xc3")") << "no UTF-8";
  EXPECT_EQ(go_quoted("\xed\xa0\x80\xc0\x80"), R"("\xed\xa0\x80\xc0\x80")") << "a surrogate, and nothing at length";
  EXPECT_EQ(go_quoted("\u00e9\u00a0\u00ad\u200b\U000e0001\U0001f600\ue000"),
            "\"\u00e9\\u00a0\\u00ad\\u200b\\U000e0001\U0001f600\\ue000\"");
  auto pod = web();
  pod.metadata.annotations = {{"a", "tab\there"}, {"b", ""}};
  EXPECT_EQ(field_value(pod, {}, kNode, "metadata.annotations").value(), "a=\"tab\\there\"\nb=\"\"");
}

TEST(FieldValues, SubPathExpressions) {
  EXPECT_EQ(expand_sub_path("a/$(X)/$$(X)", {{"X", "1"}}).value(), "a/1/$(X)");
  EXPECT_EQ(expand_sub_path("$(X)$(E)", {{"E", ""}}).error().message(), "missing value for \"X\", \"E\"");
  EXPECT_EQ(expand_sub_path("$(X)", {{"X", "/etc"}}).error().kind(), Kind::invalid);
  EXPECT_EQ(expand_sub_path("a/$(X)", {{"X", ".."}}).error().kind(), Kind::invalid);
  EXPECT_EQ(expand_sub_path("a..b", {}).value(), "a..b");
}

}  // namespace
}  // namespace keelson::agent
