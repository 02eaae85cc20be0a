// SPDX-License-Identifier: Apache-2.0
// A Keelson node that joins a real control plane.
#pragma once

#include <chrono>
#include <set>
#include <string>
#include <vector>

#include "common/clock.h"
#include "tests/support/control_plane.h"
#include "tests/support/node_fixture.h"

namespace keelson::testing {

/// Each suite calls start_cluster() in its SetUpTestSuite(). A test's node is deleted from the cluster with the test.
class MemberTest : public NodeTest {
 protected:
  static constexpr const char* kNode = "member-1";
  static constexpr const char* kAddress = "10.250.0.1";

  static void start_cluster(ControlPlane::Parts parts);
  static void TearDownTestSuite();
  void SetUp() override;
  void TearDown() override;

  /// start_node() with the node's kubeconfig and name.
  void join(std::vector<std::string> more_flags = {});
  static Output kubectl(const std::vector<std::string>& arguments, const std::string& input = "");
  /// A part of the Node, or of its Lease, by JSON path.
  static std::string node(const std::string& path);
  static std::string lease(const std::string& path);
  /// "True", "False", "Unknown"; empty if there is no Node.
  static std::string ready();
  void wait_node_ready(std::chrono::seconds limit = std::chrono::seconds(60));
  /// Since the Lease was renewed; very long if there is none.
  static std::chrono::nanoseconds lease_age();
  /// That the Lease is renewed after `since`, and was not asked for in vain later than `limit` after that: what kubectl
  /// itself takes does not count. Prints how soon it was.
  void expect_renewed_within(std::chrono::seconds limit, WallTime since);
  /// Local ports of the node's connections to the API server.
  std::set<std::string> connections() const;
  /// Packets of connections with these local ports vanish from now on, in both directions, and nobody says so; until
  /// the test ends, or see_again().
  static void black_hole(const std::set<std::string>& ports);
  static void see_again();

  static inline OwnControlPlane control_plane_;
};

}  // namespace keelson::testing
