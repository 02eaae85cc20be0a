// SPDX-License-Identifier: Apache-2.0
// The scenarios under the real kube-proxy, both of its modes: what stands under them in DIFFERENCES.md is true.
#include <filesystem>

#include "tests/services/scenario_run.h"
#include "tests/support/api_objects.h"
#include "tests/support/control_plane.h"
#include "tests/support/kube_proxy.h"

namespace keelson::services {
namespace {

namespace fs = std::filesystem;

json::object node() {
  return {{"apiVersion", "v1"},
          {"kind", "Node"},
          {"metadata",
           {{"name", "node"}, {"labels", {{"kubernetes.io/hostname", "node"}, {"topology.kubernetes.io/zone", "z1"}}}}},
          {"spec", {{"podCIDR", "10.2.0.0/24"}, {"podCIDRs", json::array{"10.2.0.0/24", "fd02::/64"}}}},
          {"status",
           {{"addresses", json::array{json::object{{"type", "InternalIP"}, {"address", "10.1.0.1"}},
                                      json::object{{"type", "InternalIP"}, {"address", "fd01::1"}}}}}}};
}

/// A world whose node has a control plane.
struct Cluster {
  Cluster() : home(fs::temp_directory_path() / ("kl-scenarios-peer-" + std::to_string(getpid()))) {
    fs::remove_all(home);
    auto guard = NetnsGuard::enter(world.netns("node"));
    control_plane = std::make_unique<keelson::testing::ControlPlane>(home.string(), "node");
    control_plane->start();
    keelson::testing::ApiObjects().apply({node()});
  }
  ~Cluster() {
    control_plane.reset();
    fs::remove_all(home);
  }
  World world;
  fs::path home;
  std::unique_ptr<keelson::testing::ControlPlane> control_plane;
};

class PeerTest : public ::testing::TestWithParam<std::tuple<Side, const Scenario*>> {
 protected:
  static void TearDownTestSuite() { cluster_.reset(); }

  const Answers& answers(Side side, const Scenario& scenario) {
    std::string name = ::testing::UnitTest::GetInstance()->current_test_info()->test_suite_name();
    auto [run, is_new] = runs_.try_emplace({name, scenario.group});
    if (is_new) {
      if (!cluster_) {
        cluster_ = std::make_unique<Cluster>();
      }
      auto proxy = make_kube_proxy(cluster_->world, suite().group(scenario.group), side, cluster_->home.string());
      run->second = services::run(cluster_->world, *proxy, chosen(name, scenario.group));
    }
    return run->second.at(scenario.id());
  }

  static inline std::unique_ptr<Cluster> cluster_;
  static inline Runs runs_;
};

TEST_P(PeerTest, Scenario) {
  const auto& [side, scenario] = GetParam();
  auto reason = ebpf::testing::why_not();
  reason = reason.empty() ? keelson::testing::why_no_kube_proxy() : reason;
  if (!reason.empty()) {
    GTEST_SKIP() << "SKIP: " << reason;
  }
  check(*scenario, side, answers(side, *scenario));
}

std::string name_of(const ::testing::TestParamInfo<PeerTest::ParamType>& info) {
  return test_name(*std::get<1>(info.param));
}

using ::testing::Combine;
using ::testing::Values;
using ::testing::ValuesIn;
INSTANTIATE_TEST_SUITE_P(Iptables, PeerTest, Combine(Values(Side::iptables), ValuesIn(all_scenarios())), name_of);
INSTANTIATE_TEST_SUITE_P(Nftables, PeerTest, Combine(Values(Side::nftables), ValuesIn(all_scenarios())), name_of);

}  // namespace
}  // namespace keelson::services
