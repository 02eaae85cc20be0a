// SPDX-License-Identifier: Apache-2.0
// A cluster of one Keelson node, agent, runtime and services, with the whole stock control plane.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/cluster_images.h"
#include "tests/support/member_fixture.h"

namespace keelson::testing {

class ClusterNodeTest : public MemberTest {
 protected:
  static void SetUpTestSuite() { start_cluster(ControlPlane::Parts::all); }

  void SetUp() override {
    MemberTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    make_images(home() + "/images");
    ASSERT_NO_FATAL_FAILURE(join(flags()));
    ASSERT_NO_FATAL_FAILURE(wait_node_ready());
  }

  void TearDown() override {
    if (!IsSkipped()) {
      // Before the node goes, so that it ends them as it would.
      kubectl({"delete", "deployments,statefulsets,daemonsets,jobs", "--all", "--wait=false"});
      kubectl({"delete", "pods", "--all", "--grace-period=1", "--timeout=60s"});
    }
    MemberTest::TearDown();
    if (!IsSkipped()) {
      EXPECT_EQ(run({"rmdir", pins()}).code, 0) << "programs or tables are still pinned";
    }
  }

  /// Of the node, beside those of every member.
  virtual std::vector<std::string> flags() const {
    return {"--roles",
            "agent,runtime,network",
            "--client-ca-file",
            control_plane_->authority_file(),
            "--network-kubeconfig",
            control_plane_->proxy_kubeconfig(),
            "--bpf-dir",
            pins(),
            "--remove-services-on-exit"};
  }
  /// Its output; a failure of it fails the test.
  std::string kubectl_ok(const std::vector<std::string>& arguments, const std::string& input = "") {
    auto done = kubectl(arguments, input);
    EXPECT_EQ(done.code, 0) << fmt::format("kubectl {}: {}", fmt::join(arguments, " "), done.error);
    return done.out;
  }
  Background kubectl_in_background(const std::vector<std::string>& arguments, const std::string& log_file) {
    return {control_plane_->kubectl_command(arguments), home() + "/" + log_file};
  }
  /// Until kubectl prints just `wanted`.
  void expect_soon(const std::string& what, const std::vector<std::string>& arguments, const std::string& wanted,
                   std::chrono::seconds limit = std::chrono::seconds(60)) {
    std::string last;
    wait_until(
        what,
        [&] {
          last = kubectl(arguments).out;
          return last == wanted;
        },
        limit);
    if (HasFatalFailure()) {
      FAIL() << fmt::format("{}: kubectl {} says '{}', wanted '{}'\n", what, fmt::join(arguments, " "), last, wanted)
             << kubectl({"get", "pods,events", "-A", "-o", "wide"}).out;
    }
  }
  void expect_rolled_out(const std::string& workload) {
    auto done = kubectl({"rollout", "status", workload, "--timeout=80s"});
    ASSERT_EQ(done.code, 0) << done.out << done.error << kubectl({"get", "pods,events", "-o", "wide"}).out << log();
  }
  std::string pins() const { return "/sys/fs/bpf/" + home().substr(home().rfind('/') + 1); }
};

}  // namespace keelson::testing
