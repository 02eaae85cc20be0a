// SPDX-License-Identifier: Apache-2.0
#include "network/kube_proxy/comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dataplane/translate/translate.h"
#include "kube/codec.h"
#include "network/kube_proxy/testdata.h"

namespace keelson::network {
namespace {

using dataplane::Address;

class ComparisonTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    dataplane::ServiceObjects objects;
    for (const auto& document : kube::decode_documents(testdata("objects.yaml"), "objects.yaml")) {
      ASSERT_TRUE(document.errors.empty()) << document.errors[0].message();
      if (const auto* service = std::get_if<kube::Service>(&*document.object)) {
        objects.services[service->metadata.ns + "/" + service->metadata.name] = *service;
      } else if (const auto* slice = std::get_if<kube::EndpointSlice>(&*document.object)) {
        objects.slices[slice->metadata.ns + "/" + slice->metadata.name] = *slice;
      }
    }
    dataplane::TranslateOptions options{.node_name = "here"};
    options.node_port_addresses = {*Address::parse("10.250.0.1"), *Address::parse("127.0.0.1")};
    model_ = dataplane::translate(objects, options);
    node_.senders4 = {*Address::parse("10.2.0.99"), *Address::parse("10.250.0.1"), *Address::parse("192.0.2.9")};
    node_.addresses = {*Address::parse("10.250.0.1")};
  }
  std::vector<std::string> differences() {
    std::vector<std::string> lines;
    for (const auto& one : compare(model_, rules_of(GetParam()), dataplane::Family::ipv4, node_)) {
      lines.push_back(one.service + " " + one.destination + " from " + one.from + ": " + one.ours + " | " + one.theirs);
    }
    return lines;
  }
  dataplane::Service& service(const char* name) { return model_.services.at({name, dataplane::Family::ipv4}); }

  dataplane::Model model_;
  NodeView node_;
};
INSTANTIATE_TEST_SUITE_P(Of, ComparisonTest, ::testing::Values("iptables-save.txt", "nft.json"),
                         [](const auto& info) { return std::string(info.param).substr(0, 3); });

TEST_P(ComparisonTest, TheSameObjectsComeToTheSame) {
  EXPECT_EQ(model_.services.size(), 7u);
  EXPECT_THAT(differences(), ::testing::IsEmpty());
}

TEST_P(ComparisonTest, ABackendThatOneOfTheTwoDoesNotHave) {
  service("default/web:dns").cluster.pop_back();
  EXPECT_THAT(differences(),
              ::testing::Contains("default/web:dns 10.96.0.11:53/UDP from pod: 10.2.0.2:5353 | 10.2.0.2:5353, "
                                  "10.3.0.1:5353"));
  EXPECT_EQ(differences().size(), 9u) << "three destinations, three senders";
}

TEST_P(ComparisonTest, AServiceThatOnlyTheyHave) {
  model_.services.erase({"default/sticky", dataplane::Family::ipv4});
  EXPECT_THAT(differences(),
              ::testing::Contains(" 10.96.0.13:80/TCP from node: not known | 10.2.0.2:8080, 10.3.0.1:8080"));
}

TEST_P(ComparisonTest, AServiceThatOnlyWeHave) {
  service("default/sticky").frontends[0].address = *Address::parse("10.96.7.7");
  EXPECT_THAT(differences(), ::testing::Contains("default/sticky 10.96.7.7:80/TCP from pod: 10.2.0.2:8080, "
                                                 "10.3.0.1:8080 | not known"));
}

TEST_P(ComparisonTest, MasqueradeRejectAndDrop) {
  using dataplane::Verdict;
  for (auto& use : service("default/web:http").frontends[0].uses) {
    use.masquerade = true;
  }
  service("default/nobody").frontends[0].uses[2].verdict = Verdict::drop;
  EXPECT_THAT(differences(),
              ::testing::ElementsAre("default/nobody 10.96.0.12:80/TCP from outside: dropped | rejected",
                                     "default/web:http 10.96.0.11:80/TCP from pod: 10.2.0.2:8080, 10.3.0.1:8080 "
                                     "masqueraded | 10.2.0.2:8080, 10.3.0.1:8080"));
}

}  // namespace
}  // namespace keelson::network
