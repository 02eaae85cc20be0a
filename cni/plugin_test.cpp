// SPDX-License-Identifier: Apache-2.0
#include "cni/plugin.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "cni/plugin_config.h"
#include "cni/types.h"
#include "cni/veth.h"

namespace keelson::cni {
namespace {

struct Case {
  const char* story;
  const char* command;
  const char* input;
  int code;
  const char* names;
};

constexpr const char* kGood = R"({"cniVersion":"1.1.0","name":"net","ranges":["10.1.0.0/24"]})";

const Case kBad[] = {
    {"no JSON", "ADD", "{", kDecodeFailure, "JSON"},
    {"an array", "ADD", "[]", kDecodeFailure, "JSON"},
    {"a future version", "ADD", R"({"cniVersion":"9.0.0","name":"net","ranges":["10.1.0.0/24"]})", kIncompatibleVersion,
     "9.0.0"},
    {"no name", "ADD", R"({"cniVersion":"1.1.0","ranges":["10.1.0.0/24"]})", kBadConfig, "name"},
    {"a path as name", "ADD", R"({"cniVersion":"1.1.0","name":"../x","ranges":["10.1.0.0/24"]})", kBadConfig, "name"},
    {"no ranges", "ADD", R"({"cniVersion":"1.1.0","name":"net"})", kBadConfig, "ranges"},
    {"a wrong range", "ADD", R"({"cniVersion":"1.1.0","name":"net","ranges":["10.1.0.0/24","x"]})", kBadConfig,
     "ranges[1]"},
    {"two of a family", "ADD", R"({"cniVersion":"1.1.0","name":"net","ranges":["10.1.0.0/24","10.2.0.0/24"]})",
     kBadConfig, "same family"},
    {"an empty range", "STATUS", R"({"cniVersion":"1.1.0","name":"net","ranges":[]})", kBadConfig, "ranges"},
    {"a wrong given range", "ADD",
     R"({"cniVersion":"1.1.0","name":"net","runtimeConfig":{"ipRanges":[[{"subnet":"10.1.0.0/24"}],[{"subnet":"x"}]]}})",
     kBadConfig, "runtimeConfig.ipRanges[1][0].subnet"},
    {"a wrong mtu", "ADD", R"({"cniVersion":"1.1.0","name":"net","ranges":["10.1.0.0/24"],"mtu":-1})", kBadConfig,
     "mtu"},
    {"masquerading", "ADD", R"({"cniVersion":"1.1.0","name":"net","ranges":["10.1.0.0/24"],"ipMasq":true})",
     kUnsupportedField, "ipMasq"},
    {"CHECK without a result", "CHECK", kGood, kBadConfig, "prevResult"},
    {"GC without attachments", "GC", kGood, kBadConfig, "cni.dev/valid-attachments"},
    {"an unknown verb", "RUN", kGood, kBadEnvironment, "CNI_COMMAND"},
};

TEST(Plugin, BadInputGetsTheSpecsCodeAndNamesTheField) {
  for (const auto& c : kBad) {
    auto answer = run_plugin({.environment = {{"CNI_COMMAND", c.command},
                                              {"CNI_CONTAINERID", "id"},
                                              {"CNI_IFNAME", "eth0"},
                                              {"CNI_NETNS", "/n"}},
                              .input = c.input});
    EXPECT_EQ(answer.exit_code, 1) << c.story;
    auto error = boost::json::parse(answer.output).as_object();
    EXPECT_EQ(error["code"].as_int64(), c.code) << c.story << ": " << answer.output;
    EXPECT_NE(answer.output.find(c.names), std::string::npos) << c.story << ": " << answer.output;
  }
}

TEST(Plugin, TheRuntimesRangesCountBeforeItsOwn) {
  const auto bases = [](const std::string& fields, const std::string& verb) {
    const auto config = parse_plugin_config(R"({"cniVersion":"1.1.0","name":"net")" + fields + "}", verb);
    std::vector<std::string> found;
    for (const auto& range : config.has_value() ? config->ranges : std::vector<Subnet>()) {
      found.push_back(range.at(0));
    }
    return config.has_value() ? found : std::vector{config.error().message};
  };
  const std::string given = R"(,"runtimeConfig":{"ipRanges":[[{"subnet":"10.7.0.0/24"}],[{"subnet":"fd07::/64"}]]})";
  const std::string own = R"(,"ranges":["10.1.0.0/24"])";
  EXPECT_EQ(bases(own, "ADD"), std::vector<std::string>{"10.1.0.0"});
  EXPECT_EQ(bases(given, "ADD"), (std::vector<std::string>{"10.7.0.0", "fd07::"}));
  EXPECT_EQ(bases(own + given, "ADD"), (std::vector<std::string>{"10.7.0.0", "fd07::"}));
  EXPECT_EQ(bases("", "DEL"), std::vector<std::string>()) << "nothing is given out";
}

TEST(Plugin, BadEnvironment) {
  for (const auto& [id, interface, netns] : std::vector<std::array<const char*, 3>>{{"", "eth0", "/n"},
                                                                                    {"c1\x88", "eth0", "/n"},
                                                                                    {"../id", "eth0", "/n"},
                                                                                    {"id", "", "/n"},
                                                                                    {"id", "much-too-long-name", "/n"},
                                                                                    {"id", "a/b", "/n"},
                                                                                    {"id", "eth0", ""}}) {
    auto answer = run_plugin({.environment = {{"CNI_COMMAND", "ADD"},
                                              {"CNI_CONTAINERID", id},
                                              {"CNI_IFNAME", interface},
                                              {"CNI_NETNS", netns}},
                              .input = kGood});
    EXPECT_EQ(boost::json::parse(answer.output).as_object()["code"].as_int64(), kBadEnvironment)
        << id << interface << netns;
  }
}

TEST(Plugin, TellsItsVersions) {
  auto answer = run_plugin({.environment = {{"CNI_COMMAND", "VERSION"}}, .input = ""});
  EXPECT_EQ(answer.exit_code, 0);
  EXPECT_EQ(answer.output, R"({"cniVersion":"1.1.0","supportedVersions":["0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]})");
}

TEST(Outcome, OldVersionsHaveFamiliesAndReadBack) {
  Outcome outcome;
  outcome.interfaces = {{"eth0", "02:00:00:00:00:01", 1450, "/n"}};
  outcome.addresses = {{"fd00::2/128", "fd00::1", 0}};
  outcome.routes = {{"::/0", "fd00::1"}};
  auto old = format_outcome(outcome, "0.4.0").as_object();
  EXPECT_EQ(old["ips"].as_array()[0].as_object()["version"].as_string(), "6");
  EXPECT_FALSE(old["interfaces"].as_array()[0].as_object().contains("mtu"));
  auto now = format_outcome(outcome, "1.1.0");
  EXPECT_EQ(format_outcome(*parse_outcome(now), "1.1.0"), now);
}

TEST(HostLinkName, IsStableShortAndDistinct) {
  auto name = host_link_name("container-a", "eth0");
  EXPECT_EQ(name, host_link_name("container-a", "eth0"));
  EXPECT_LE(name.size(), 15U);
  EXPECT_NE(name, host_link_name("container-b", "eth0"));
  EXPECT_NE(name, host_link_name("container-a", "eth1"));
}

}  // namespace
}  // namespace keelson::cni
