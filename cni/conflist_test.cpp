// SPDX-License-Identifier: Apache-2.0
#include "cni/conflist.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace keelson::cni {
namespace {

TEST(NetworkList, ReadsListsAndSinglePlugins) {
  auto list = parse_network_list(
      R"({"cniVersion":"1.0.0","cniVersions":["0.4.0","1.1.0","7.0.0"],"name":"net","disableCheck":true,
    "plugins":[{"type":"bridge","capabilities":{"portMappings":true,"ips":false}},{"type":"portmap"}]})",
      "f");
  ASSERT_TRUE(list) << list.error().message();
  EXPECT_EQ(list->version, "1.1.0") << "the highest that both know";
  EXPECT_TRUE(list->disable_check);
  ASSERT_EQ(list->plugins.size(), 2U);
  EXPECT_EQ(list->plugins[0].capabilities, std::vector<std::string>{"portMappings"});
  auto single = parse_network_list(R"({"cniVersion":"0.3.1","name":"one","type":"ptp"})", "f");
  ASSERT_TRUE(single);
  EXPECT_EQ(single->plugins[0].type, "ptp");
}

TEST(NetworkList, NamesWhatIsWrong) {
  struct Case {
    const char* text;
    const char* error;
  };
  for (const auto& c : std::vector<Case>{
           {"x", "f: not a JSON object"},
           {R"({"name":"n","plugins":[{"type":"a"}]})", "f: cniVersion: none"},
           {R"({"cniVersion":"1.1.0","plugins":[{"type":"a"}]})", "f: name: ''"},
           {R"({"cniVersion":"1.1.0","name":"n","plugins":[]})", "f: plugins: expected"},
           {R"({"cniVersion":"1.1.0","name":"n","plugins":[{"type":"a"},{}]})", "f: plugins[1].type"},
           {R"({"cniVersion":"1.1.0","name":"n","plugins":[{"type":"../a"}]})", "f: plugins[0].type"},
       }) {
    auto list = parse_network_list(c.text, "f");
    ASSERT_FALSE(list) << c.text;
    EXPECT_TRUE(list.error().message().starts_with(c.error)) << list.error().message();
  }
}

TEST(NetworkList, TheFirstValidFileByNameIsUsed) {
  std::string pattern = ::testing::TempDir() + "keelson-conf-XXXXXX";
  std::string dir = ::mkdtemp(pattern.data());
  EXPECT_EQ(load_network_list(dir).error().kind(), Kind::not_found);
  std::ofstream(dir + "/05-broken.conflist") << "{";
  std::ofstream(dir + "/10-a.conf") << R"({"cniVersion":"1.0.0","name":"a","type":"ptp"})";
  std::ofstream(dir + "/20-b.conflist") << R"({"cniVersion":"1.0.0","name":"b","plugins":[{"type":"ptp"}]})";
  std::ofstream(dir + "/00-readme.txt") << "no";
  auto list = load_network_list(dir);
  ASSERT_TRUE(list) << list.error().message();
  EXPECT_EQ(list->name, "a");
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace keelson::cni
