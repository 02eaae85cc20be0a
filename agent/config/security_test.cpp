// SPDX-License-Identifier: Apache-2.0
// Who a container runs as: its spec, its pod's, its image's.
#include "agent/config/security.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "common/atomic_file.h"

namespace keelson::agent {
namespace {

namespace fs = std::filesystem;

kube::Container container_as(std::optional<int64_t> user, std::optional<int64_t> group, std::optional<bool> non_root) {
  kube::Container container;
  container.name = "main";
  container.security_context = kube::SecurityContext{};
  container.security_context->run_as_user = user;
  container.security_context->run_as_group = group;
  container.security_context->run_as_non_root = non_root;
  return container;
}

kube::Pod web() {
  kube::Pod pod;
  pod.metadata = {.name = "web", .ns = "shop", .uid = "u1"};
  return pod;
}

std::string refusal(const kube::Container& container, const ImageUser& user) {
  auto made = container_security(web(), container, user);
  return made ? "none" : made.error().kind() == Kind::invalid ? made.error().message() : "another kind";
}

TEST(Security, AGroupAloneKeepsTheImagesUser) {
  auto container = container_as(std::nullopt, 3000, std::nullopt);
  auto numbered = container_security(web(), container, {.uid = 1000}).value();
  EXPECT_EQ(numbered.run_as_user, 1000);
  EXPECT_EQ(numbered.run_as_group, 3000);
  auto named = container_security(web(), container, {.name = "www"}).value();
  EXPECT_EQ(named.run_as_user, std::nullopt);
  EXPECT_EQ(named.run_as_username, "www");
  EXPECT_EQ(container_security(web(), container, {}).value().run_as_user, 0);
}

TEST(Security, WithoutUserAndGroupTheRuntimeDecides) {
  auto made = container_security(web(), container_as(std::nullopt, std::nullopt, std::nullopt), {.uid = 7}).value();
  EXPECT_EQ(made.run_as_user, std::nullopt);
  EXPECT_EQ(made.run_as_username, "");
}

TEST(Security, ThePodsUserGivesWayToTheContainers) {
  auto pod = web();
  pod.spec.security_context.run_as_user = 5;
  auto none = container_as(std::nullopt, std::nullopt, std::nullopt);
  EXPECT_EQ(container_security(pod, none, {.uid = 7}).value().run_as_user, 5);
  EXPECT_EQ(container_security(pod, container_as(6, std::nullopt, std::nullopt), {}).value().run_as_user, 6);
}

TEST(Security, NonRootIsCheckedAgainstTheImageToo) {
  auto strict = container_as(std::nullopt, std::nullopt, true);
  const std::string where = "(pod: \"web_shop(u1)\", container: main)";
  EXPECT_EQ(refusal(strict, {.uid = 0}), "container has runAsNonRoot and image will run as root " + where);
  EXPECT_EQ(refusal(strict, {}), "container has runAsNonRoot and image will run as root " + where);
  EXPECT_EQ(refusal(strict, {.name = "www"}),
            "container has runAsNonRoot and image has non-numeric user (www), cannot verify user is non-root " + where);
  EXPECT_EQ(refusal(strict, {.uid = 1000}), "none");
  EXPECT_EQ(refusal(container_as(0, std::nullopt, true), {.uid = 1000}),
            "container's runAsUser breaks non-root policy " + where);
  EXPECT_EQ(refusal(container_as(1, std::nullopt, true), {}), "none");
  EXPECT_EQ(refusal(container_as(std::nullopt, std::nullopt, false), {}), "none");
}

TEST(Security, TheContainersNonRootWinsOverThePods) {
  auto pod = web();
  pod.spec.security_context.run_as_non_root = true;
  EXPECT_FALSE(container_security(pod, container_as(std::nullopt, std::nullopt, std::nullopt), {}));
  EXPECT_TRUE(container_security(pod, container_as(std::nullopt, std::nullopt, false), {}));
}

TEST(Security, WithoutAProfileTheNodesDefaultCounts) {
  auto pod = web();
  auto container = container_as(std::nullopt, std::nullopt, std::nullopt);
  EXPECT_EQ(container_security(pod, container, {}).value().seccomp->kind, cri::ProfileKind::unconfined);
  EXPECT_EQ(container_security(pod, container, {}, {.by_default = true}).value().seccomp->kind,
            cri::ProfileKind::runtime_default);
  pod.spec.security_context.seccomp_profile = kube::SecurityProfile{.type = kube::ProfileType::unconfined};
  EXPECT_EQ(container_security(pod, container, {}, {.by_default = true}).value().seccomp->kind,
            cri::ProfileKind::unconfined)
      << "the pod says so";
}

TEST(Security, AProfileOfTheNodeIsGivenByItsWholePath) {
  std::string pattern = ::testing::TempDir() + "keelson-profiles-XXXXXX";
  const std::string dir = ::mkdtemp(pattern.data());
  fs::create_directories(dir + "/kubelets/profiles");
  ASSERT_TRUE(write_file_atomic(dir + "/kubelets/profiles/audit.json", "{}"));
  const SeccompRules rules{.folders = {dir + "/own", dir + "/kubelets"}};
  auto container = container_as(std::nullopt, std::nullopt, std::nullopt);
  const auto path = [&](const std::string& name) {
    container.security_context->seccomp_profile = {.type = kube::ProfileType::localhost, .localhost_profile = name};
    const auto made = container_security(web(), container, {}, rules).value().seccomp.value();
    return made.kind == cri::ProfileKind::localhost ? made.path : "no path";
  };
  EXPECT_EQ(path("profiles/audit.json"), dir + "/kubelets/profiles/audit.json");
  EXPECT_EQ(path("profiles/none.json"), dir + "/own/profiles/none.json");
  fs::create_directories(dir + "/own/profiles");
  ASSERT_TRUE(write_file_atomic(dir + "/own/profiles/audit.json", "{}"));
  EXPECT_EQ(path("profiles/audit.json"), dir + "/own/profiles/audit.json");
  fs::remove_all(dir);
}

TEST(Security, AnAnnotationNamesAnAppArmorProfileBeforeThePodDoes) {
  auto pod = web();
  auto container = container_as(std::nullopt, std::nullopt, std::nullopt);
  pod.spec.security_context.app_armor_profile = {.type = kube::ProfileType::unconfined};
  auto& said = pod.metadata.annotations["container.apparmor.security.beta.kubernetes.io/main"];
  const auto made = [&] { return container_security(pod, container, {}).value().apparmor.value(); };
  said = "localhost/mine";
  EXPECT_EQ(made().kind, cri::ProfileKind::localhost);
  EXPECT_EQ(made().path, "mine");
  said = "runtime/default";
  EXPECT_EQ(made().kind, cri::ProfileKind::runtime_default);
  said = "what is that";
  EXPECT_EQ(made().kind, cri::ProfileKind::unconfined) << "the pod's";
  said = "runtime/default";
  container.security_context->app_armor_profile = {.type = kube::ProfileType::unconfined};
  EXPECT_EQ(made().kind, cri::ProfileKind::unconfined) << "the field wins";
}

TEST(Security, NoPrivilegesAreGainedWhateverCapabilitiesAreGiven) {
  auto container = container_as(std::nullopt, std::nullopt, std::nullopt);
  EXPECT_FALSE(container_security(web(), container, {}).value().no_new_privs);
  container.security_context->allow_privilege_escalation = false;
  for (const char* capability : {"CHOWN", "SYS_ADMIN", "ALL"}) {
    container.security_context->capabilities.emplace().add = {capability};
    EXPECT_TRUE(container_security(web(), container, {}).value().no_new_privs) << capability;
  }
  container.security_context->allow_privilege_escalation = true;
  EXPECT_FALSE(container_security(web(), container, {}).value().no_new_privs);
}

TEST(Security, WhatProcessorsTellOfTheirHeatIsMasked) {
  std::string pattern = ::testing::TempDir() + "keelson-processors-XXXXXX";
  const std::string dir = ::mkdtemp(pattern.data());
  for (const char* folder :
       {"/cpu0/thermal_throttle", "/cpu12/thermal_throttle", "/cpu1", "/cpufreq/thermal_throttle"}) {
    fs::create_directories(dir + folder);
  }
  const auto paths = masked_paths(dir);
  fs::remove_all(dir);
  EXPECT_EQ(paths.size(), masked_paths("/no/such").size() + 2);
  EXPECT_EQ(paths.end()[-2], dir + "/cpu0/thermal_throttle");
  EXPECT_EQ(paths.back(), dir + "/cpu12/thermal_throttle");
}

}  // namespace
}  // namespace keelson::agent
