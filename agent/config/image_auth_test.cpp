// SPDX-License-Identifier: Apache-2.0
#include "agent/config/image_auth.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace keelson::agent {
namespace {

class ImageAuthTest : public ::testing::Test {
 protected:
  /// A secret with one user for each server, named as the server is.
  void add(const std::string& name, const std::vector<std::string>& servers) {
    std::string auths;
    for (const auto& server : servers) {
      auths += fmt::format(R"({}"{}":{{"username":"{}@{}","password":"p"}})", auths.empty() ? "" : ",", server, server,
                           name);
    }
    kube::Secret secret;
    secret.data[".dockerconfigjson"] = fmt::format(R"({{"auths":{{{}}}}})", auths);
    objects_.secrets["ns/" + name] = secret;
    pod_.spec.image_pull_secrets.push_back(name);
  }
  std::vector<std::string> users(const std::string& image) {
    pod_.metadata.ns = "ns";
    std::vector<std::string> users;
    for (const auto& auth : find_credentials(pod_, objects_, image)) {
      users.push_back(auth.username);
    }
    return users;
  }
  using Users = std::vector<std::string>;
  kube::Pod pod_;
  kube::DesiredState objects_;
};

TEST_F(ImageAuthTest, HostsPortsAndGlobs) {
  add("s", {"registry.example.com", "registry.example.com:5000", "*.example.org", "https://other.example.com/v2/"});
  EXPECT_EQ(users("registry.example.com/a/b:1"), Users{"registry.example.com@s"});
  EXPECT_EQ(users("registry.example.com:5000/a"), Users{"registry.example.com:5000@s"});
  EXPECT_EQ(users("registry.example.com:5001/a"), Users{});
  EXPECT_EQ(users("a.example.org/x"), Users{"*.example.org@s"});
  EXPECT_EQ(users("a.b.example.org/x"), Users{}) << "a star is one label";
  EXPECT_EQ(users("other.example.com/x@sha256:0"), Users{"https://other.example.com/v2/@s"});
}

TEST_F(ImageAuthTest, AllThatFitTheLongestPathFirst) {
  add("one", {"registry.example.com", "registry.example.com/team"});
  add("two", {"registry.example.com", "registry.example.com/team/app"});
  EXPECT_EQ(users("registry.example.com/team/app:1"),
            (Users{"registry.example.com/team/app@two", "registry.example.com/team@one", "registry.example.com@one",
                   "registry.example.com@two"}));
  EXPECT_EQ(users("registry.example.com/else"), (Users{"registry.example.com@one", "registry.example.com@two"}));
}

TEST_F(ImageAuthTest, TheDefaultRegistryHasManyNames) {
  add("s", {"https://index.docker.io/v1/", "docker.io", "registry-1.docker.io"});
  EXPECT_EQ(users("busybox").size(), 3U);
  EXPECT_EQ(users("docker.io/library/busybox:1").size(), 3U);
  EXPECT_EQ(users("quay.io/x").size(), 0U);
}

TEST_F(ImageAuthTest, WhatCannotBeReadIsPassedOver) {
  add("good", {"registry.example.com"});
  add("bad", {});
  objects_.secrets["ns/bad"].data[".dockerconfigjson"] = "{\"auths\":[";
  pod_.spec.image_pull_secrets.insert(pod_.spec.image_pull_secrets.begin(), "absent");
  EXPECT_EQ(users("registry.example.com/x"), Users{"registry.example.com@good"});
}

TEST(NodeLogins, TheFirstFileThatCanBeReadCounts) {
  const std::string dir = ::testing::TempDir() + fmt::format("logins-{}", ::getpid());
  std::filesystem::create_directories(dir + "/home/.docker");
  const auto files = login_files(dir, dir + "/home");
  ASSERT_EQ(files.size(), 8U);
  EXPECT_EQ(files[0], (LoginFile{dir + "/config.json", true}));
  EXPECT_EQ(files[2], (LoginFile{dir + "/home/.docker/config.json", true}));
  EXPECT_EQ(files[3], (LoginFile{"/.docker/config.json", true}));
  EXPECT_EQ(files[4], (LoginFile{dir + "/.dockercfg", false}));
  EXPECT_EQ(files[7], (LoginFile{"/.dockercfg", false}));
  const std::vector<LoginFile> ours{files[0], files[2], files[4]};
  EXPECT_TRUE(read_logins(ours).empty());
  const auto user = [&] { return find_logins(read_logins(ours), "r.example.com/a").at(0).username; };
  std::ofstream(files[4].path) << R"({"r.example.com":{"username":"old"}})";
  EXPECT_EQ(user(), "old");
  std::ofstream(files[2].path) << R"({"auths":{"r.example.com":{"username":"home"}}})";
  EXPECT_EQ(user(), "home");
  std::ofstream(files[0].path) << "broken";
  EXPECT_EQ(user(), "home");
  std::ofstream(files[0].path) << R"({"auths":{"https://r.example.com/v2/":{"username":"root"}}})";
  EXPECT_EQ(user(), "root");
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace keelson::agent
