// SPDX-License-Identifier: Apache-2.0
// Nothing is asked of a runtime that it would not do.
#include "agent/config/handler_features.h"

#include <gtest/gtest.h>

namespace keelson::agent {
namespace {

using Mode = kube::RecursiveReadOnly;

cri::RuntimeStatus able() {
  cri::RuntimeStatus status;
  status.handlers = {{.name = "", .user_namespaces = true, .recursive_read_only_mounts = true}, {.name = "runc"}};
  status.supplemental_groups_policy = true;
  return status;
}

std::string refusal(const cri::SandboxConfig& config, const cri::RuntimeStatus& status, const std::string& handler) {
  const auto checked = check_sandbox(config, status, handler);
  return checked ? "none" : checked.error().kind() == Kind::unsupported ? checked.error().message() : "another kind";
}

TEST(HandlerFeatures, AUserNamespaceNeedsAHandlerThatKnowsIt) {
  cri::SandboxConfig config;
  EXPECT_FALSE(wants_features(config));
  EXPECT_EQ(refusal(config, {}, ""), "none");
  config.security.namespaces.users = cri::IdMapping{.container = 0, .host = 65536, .length = 65536};
  EXPECT_TRUE(wants_features(config));
  EXPECT_EQ(refusal(config, able(), ""), "none");
  const std::string runc = "spec.hostUsers: the runtime's handler \"runc\" has no user namespaces";
  EXPECT_EQ(refusal(config, able(), "runc"), runc);
  EXPECT_NE(refusal(config, {}, ""), "none");
}

TEST(HandlerFeatures, StrictGroupsNeedARuntimeThatKnowsThem) {
  cri::SandboxConfig config;
  config.security.strict_groups = true;
  EXPECT_TRUE(wants_features(config));
  EXPECT_EQ(refusal(config, able(), "runc"), "none");
  const std::string text =
      "spec.securityContext.supplementalGroupsPolicy: the runtime does not support the policy Strict";
  EXPECT_EQ(refusal(config, {}, ""), text) << "an old runtime tells nothing";
  auto unable = able();
  unable.supplemental_groups_policy = false;
  EXPECT_EQ(refusal(config, unable, ""), text);
}

TEST(HandlerFeatures, RecursiveReadOnlyIsWhatTheHandlerCan) {
  kube::Container container;
  auto& mount = container.volume_mounts.emplace_back();
  mount.name = "data";
  mount.read_only = true;
  EXPECT_FALSE(wants_recursive_read_only(container));
  EXPECT_EQ(resolve_recursive_read_only(mount, true).value(), false);
  mount.recursive_read_only = Mode::if_possible;
  EXPECT_TRUE(wants_recursive_read_only(container));
  EXPECT_EQ(resolve_recursive_read_only(mount, true).value(), true);
  EXPECT_EQ(resolve_recursive_read_only(mount, false).value(), false);
  mount.recursive_read_only = Mode::enabled;
  EXPECT_EQ(resolve_recursive_read_only(mount, true).value(), true);
  const auto refused = resolve_recursive_read_only(mount, false);
  EXPECT_EQ(refused.error().kind(), Kind::invalid);
  EXPECT_EQ(refused.error().message(),
            "failed to resolve recursive read-only mode: volume \"data\" requested recursive read-only mode, but it is "
            "not supported by the runtime");
  mount.read_only = false;
  EXPECT_FALSE(resolve_recursive_read_only(mount, true));
  EXPECT_TRUE(can_recursive_read_only(able(), ""));
  EXPECT_FALSE(can_recursive_read_only(able(), "runc"));
  EXPECT_FALSE(can_recursive_read_only({}, ""));
}

}  // namespace
}  // namespace keelson::agent
