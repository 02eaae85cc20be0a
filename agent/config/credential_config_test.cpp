// SPDX-License-Identifier: Apache-2.0
#include "agent/config/credential_config.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace keelson::agent {
namespace {

namespace fs = std::filesystem;

constexpr const char* kEcr = R"(apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: ecr-credential-provider
  matchImages: ["*.dkr.ecr.*.amazonaws.com", "*.dkr.ecr-fips.*.amazonaws.com"]
  defaultCacheDuration: 12h
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  args: [get-credentials]
  env:
  - name: AWS_PROFILE
    value: node
)";

TEST(CredentialConfig, IsReadAsTheKubeletTakesIt) {
  const auto providers = parse_credential_config(kEcr, "f").value();
  ASSERT_EQ(providers.size(), 1U);
  EXPECT_EQ(providers[0].name, "ecr-credential-provider");
  EXPECT_EQ(providers[0].match_images.size(), 2U);
  EXPECT_EQ(providers[0].default_cache_duration, std::chrono::hours(12));
  EXPECT_EQ(providers[0].args, std::vector<std::string>{"get-credentials"});
  EXPECT_EQ(providers[0].env[0], std::pair(std::string("AWS_PROFILE"), std::string("node")));
}

TEST(CredentialConfig, WhatIsWrongIsNamedWithItsLine) {
  const auto error_of = [](std::string_view what, std::string_view by) {
    std::string text = kEcr;
    text.replace(text.find(what), what.size(), by);
    return parse_credential_config(text, "f").error().message();
  };
  EXPECT_EQ(error_of("kind: Cred", "kind: Kred"),
            "f:1: expected apiVersion: kubelet.config.k8s.io/v1 and kind: CredentialProviderConfig");
  EXPECT_EQ(error_of("  args:", "  arg:"), "f:8: providers[0].arg: unknown field");
  EXPECT_EQ(error_of("  args: [get-credentials]", "  tokenAttributes: {}").substr(0, 49),
            "f:8: providers[0].tokenAttributes: not supported:");
  EXPECT_EQ(error_of("name: ecr-credential-provider", "name: a/b"),
            "f:4: providers[0].name: 'a/b' is not a file's name without spaces");
  EXPECT_EQ(error_of("  defaultCacheDuration: 12h\n", ""), "f:4: providers[0].defaultCacheDuration: required");
  EXPECT_EQ(error_of("    value: node\n", ""), "f:10: providers[0].env[0].value: required");
}

TEST(CredentialConfig, AFolderIsReadInOrderAndItsProgramsMustBeThere) {
  const fs::path dir = fs::path(::testing::TempDir()) / fmt::format("credentials-{}", ::getpid());
  fs::create_directories(dir / "bin");
  std::string other = kEcr;
  other.replace(other.find("ecr-credential-provider"), 23, "acr");
  std::ofstream(dir / "b.yaml") << kEcr;
  std::ofstream(dir / "a.json") << other;
  std::ofstream(dir / "notes.txt") << "no configuration";
  EXPECT_EQ(load_credential_config(dir, dir / "bin").error().message(),
            fmt::format("{}/a.json: providers: acr is not a program in {}/bin", dir.string(), dir.string()));
  for (const auto* name : {"acr", "ecr-credential-provider"}) {
    std::ofstream(dir / "bin" / name) << "#!/bin/sh\n";
    fs::permissions(dir / "bin" / name, fs::perms::owner_all);
  }
  const auto providers = load_credential_config(dir, dir / "bin").value();
  ASSERT_EQ(providers.size(), 2U);
  EXPECT_EQ(providers[0].name, "acr");
  std::ofstream(dir / "c.yml") << kEcr;
  EXPECT_EQ(load_credential_config(dir, dir / "bin").error().message(),
            fmt::format("{}/c.yml: providers: ecr-credential-provider is there twice", dir.string()));
  fs::remove_all(dir);
}

}  // namespace
}  // namespace keelson::agent
