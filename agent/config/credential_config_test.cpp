// SPDX-License-Identifier: Apache-2.0
#include "agent/config/credential_config.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "common/sha256.h"

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
  EXPECT_EQ(error_of("name: ecr-credential-provider", "name: a/b"),
            "f:4: providers[0].name: 'a/b' is not a file's name without spaces");
  EXPECT_EQ(error_of("  defaultCacheDuration: 12h\n", ""), "f:4: providers[0].defaultCacheDuration: required");
  EXPECT_EQ(error_of("    value: node\n", ""), "f:10: providers[0].env[0].value: required");
}

constexpr const char* kToken = R"(  tokenAttributes:
    serviceAccountTokenAudience: registry.example.com
    cacheType: ServiceAccount
    requireServiceAccount: true
    requiredServiceAccountAnnotationKeys: [Example.com/Role]
    optionalServiceAccountAnnotationKeys: [example.com/tenant, region]
)";

TEST(CredentialConfig, AProviderMayActForServiceAccounts) {
  EXPECT_FALSE(parse_credential_config(kEcr, "f").value()[0].token);
  const auto providers = parse_credential_config(std::string(kEcr) + kToken, "f").value();
  const auto& token = providers.at(0).token.value();
  EXPECT_EQ(token.audience, "registry.example.com");
  EXPECT_EQ(token.cache_type, TokenAttributes::CacheType::service_account);
  EXPECT_TRUE(token.require_service_account);
  EXPECT_EQ(token.required_annotations, std::vector<std::string>{"Example.com/Role"});
  EXPECT_EQ(token.optional_annotations, (std::vector<std::string>{"example.com/tenant", "region"}));
}

TEST(CredentialConfig, OfServiceAccountsTooWhatIsWrongIsNamedWithItsLine) {
  const auto error_of = [](std::string_view what, std::string_view by) {
    std::string text = std::string(kEcr) + kToken;
    text.replace(text.find(what), what.size(), by);
    return parse_credential_config(text, "f").error().message();
  };
  const std::string at = "providers[0].tokenAttributes";
  EXPECT_EQ(error_of("    cacheType: S", "    cachetype: S"), "f:14: " + at + ".cachetype: unknown field");
  EXPECT_EQ(error_of("    cacheType: ServiceAccount\n", ""), "f:13: " + at + ".cacheType: required");
  EXPECT_EQ(error_of("cacheType: ServiceAccount", "cacheType: Pod"),
            "f:14: " + at + ".cacheType: 'Pod' is not one of ServiceAccount, Token");
  EXPECT_EQ(error_of("Audience: registry.example.com", "Audience: ''"),
            "f:13: " + at + ".serviceAccountTokenAudience: required");
  EXPECT_EQ(error_of("    requireServiceAccount: true\n", ""), "f:13: " + at + ".requireServiceAccount: required");
  EXPECT_EQ(error_of("requireServiceAccount: true", "requireServiceAccount: maybe"),
            "f:15: " + at + ".requireServiceAccount: expected true or false");
  EXPECT_EQ(error_of("requireServiceAccount: true", "requireServiceAccount: false"),
            "f:16: " + at + ".requiredServiceAccountAnnotationKeys: needs requireServiceAccount: true");
  EXPECT_EQ(error_of("Example.com/Role", "example.com/tenant"),
            "f:13: " + at + ": example.com/tenant cannot be both a required and an optional annotation");
  EXPECT_EQ(error_of("region", "example.com/tenant"),
            "f:17: " + at + ".optionalServiceAccountAnnotationKeys: example.com/tenant is there twice");
  EXPECT_EQ(error_of("region", "'a b'").substr(0, 89),
            "f:17: " + at + ".optionalServiceAccountAnnotationKeys: Invalid value: \"");
  const std::string versions = "f:13: " + at +
                               ": needs version v1 of kubelet.config.k8s.io/ and "
                               "credentialprovider.kubelet.k8s.io/";
  EXPECT_EQ(error_of("credentialprovider.kubelet.k8s.io/v1", "credentialprovider.kubelet.k8s.io/v1beta1"), versions);
  EXPECT_EQ(error_of("kubelet.config.k8s.io/v1", "kubelet.config.k8s.io/v1beta1"), versions);
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
  ASSERT_EQ(providers.list.size(), 2U);
  EXPECT_EQ(providers.list[0].name, "acr");
  const auto counted = [](const std::string& text) {
    return std::string(6, '\0') + static_cast<char>(text.size() >> 8) + static_cast<char>(text.size() & 0xff) + text;
  };
  EXPECT_EQ(providers.hash, "sha256:" + sha256_hex(counted(other) + counted(kEcr))) << "of the files, with their sizes";
  std::ofstream(dir / "c.yml") << kEcr;
  EXPECT_EQ(load_credential_config(dir, dir / "bin").error().message(),
            fmt::format("{}/c.yml: providers: ecr-credential-provider is there twice", dir.string()));
  fs::remove_all(dir);
}

}  // namespace
}  // namespace keelson::agent
