// SPDX-License-Identifier: Apache-2.0
// deploy/kubernetes against a real API server: it is taken as it is, and grants what the daemon asks for and no more.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/support/control_plane.h"

namespace keelson::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class DeployTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "needs root";
    }
    if (kubernetes_program().empty()) {
      GTEST_SKIP() << "needs the stock Kubernetes programs: ./dev peers";
    }
    enter_node_network("10.250.0.1");
    home_ = fs::temp_directory_path() / ("kl-deploy-" + std::to_string(::getpid()));
    control_.emplace(home_, "here");
    control_->start();
  }
  void TearDown() override {
    control_.reset();
    fs::remove_all(home_);
  }

  Output kubectl(const std::vector<std::string>& arguments) { return control_->kubectl(arguments); }
  // As the service account of the manifest.
  std::string kubeconfig() {
    auto token = kubectl({"create", "token", "keelson", "-n", "kube-system"});
    EXPECT_EQ(token.code, 0) << token.error;
    auto text = read_text(control_->admin_kubeconfig());
    auto at = text.find("{token: ");
    text.replace(at, text.find('}', at) - at, "{token: " + token.out.substr(0, token.out.find('\n')));
    auto path = home_ / "keelson.conf";
    std::ofstream(path) << text;
    return path;
  }
  Output check() {
    return run(
        {std::string(getenv("KEELSON_BIN")) + "/keelson", "check", "--kubeconfig", kubeconfig(), "--uplinks", "node0"});
  }

  // Until the API server's authorizer, which learns of bindings by a watch, says so of listing services.
  void expect_allowed(const std::string& answer) {
    const auto asked = [&] { return kubectl({"auth", "can-i", "list", "services", kWho}).out; };
    for (int i = 0; i < 100 && asked() != answer; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    EXPECT_EQ(asked(), answer);
  }

  static constexpr const char* kWho = "--as=system:serviceaccount:kube-system:keelson";
  const std::string manifest_ = std::string(KEELSON_SOURCE_DIR) + "/deploy/kubernetes/keelson.yaml";
  fs::path home_;
  std::optional<ControlPlane> control_;
};

TEST_F(DeployTest, TheApiServerTakesItAndItGrantsWhatIsAskedFor) {
  auto dry = kubectl({"apply", "--dry-run=server", "--validate=strict", "-f", manifest_});
  ASSERT_EQ(dry.code, 0) << dry.error;
  EXPECT_THAT(dry.out, HasSubstr("daemonset.apps/keelson created (server dry run)"));
  EXPECT_EQ(dry.error, "");

  auto applied = kubectl({"apply", "-f", manifest_});
  ASSERT_EQ(applied.code, 0) << applied.error;
  expect_allowed("yes\n");
  auto granted = check();
  EXPECT_THAT(granted.out, HasSubstr("lets us list services, endpointslices and nodes"));
  for (const char* verb : {"create", "update", "delete"}) {
    EXPECT_EQ(kubectl({"auth", "can-i", verb, "services", kWho}).out, "no\n") << verb;
  }
  EXPECT_EQ(kubectl({"auth", "can-i", "list", "secrets", kWho}).out, "no\n");

  ASSERT_EQ(kubectl({"delete", "clusterrolebinding", "keelson-network"}).code, 0);
  expect_allowed("no\n");
  auto refused = check();
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.out, HasSubstr("services: the API server refuses to list them (HTTP 403)"));

  auto deleted = kubectl({"delete", "--ignore-not-found", "-f", manifest_});
  EXPECT_EQ(deleted.code, 0) << deleted.error;
}

}  // namespace
}  // namespace keelson::testing
