// SPDX-License-Identifier: Apache-2.0
// The agent alone, on somebody else's runtime: Debian's containerd with runc and the reference network plugins. That
// one tells no container events, so the agent has to find out.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/support/cluster_images.h"
#include "tests/support/node_fixture.h"

namespace keelson::testing {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr const char* kBridge = "kl-e2e0";

class ContainerdTest : public NodeTest {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "SKIP: needs root";
    }
    for (const char* tool : {"containerd", "ctr", "runc"}) {
      if (run({"which", tool}).code != 0) {
        GTEST_SKIP() << "SKIP: needs " << tool;
      }
    }
    if (!fs::exists("/usr/lib/cni/bridge")) {
      GTEST_SKIP() << "SKIP: needs the reference network plugins in /usr/lib/cni";
    }
    start_containerd();  // first, so that it counts as there before
    NodeTest::SetUp();
  }
  void TearDown() override {
    NodeTest::TearDown();
    if (containerd_.pid() > 0) {
      EXPECT_EQ(ctr({"containers", "list", "-q"}).out, "") << "containers were left in containerd";
      containerd_.stop();
      run({"ip", "link", "delete", kBridge});
    }
  }

  Output ctr(std::vector<std::string> arguments) {
    std::vector<std::string> command = {"ctr", "--address", home() + "/containerd.sock", "-n", "k8s.io"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return run(command);
  }

  void start_containerd() {
    fs::create_directories(home() + "/cni/theirs");
    std::ofstream(home() + "/cni/theirs/10.conflist") << fmt::format(
        R"({{"cniVersion":"1.0.0","name":"theirs","plugins":[{{"type":"bridge","bridge":"{}","isGateway":true,)"
        R"("ipam":{{"type":"host-local","dataDir":"{}/host-local","ranges":[[{{"subnet":"10.248.1.0/24"}}]],)"
        R"("routes":[{{"dst":"0.0.0.0/0"}}]}}}}]}})",
        kBridge, home());
    const std::string script = KEELSON_SOURCE_DIR "/tests/support/containerd.sh";
    const std::string conf = home() + "/cni/theirs";
    containerd_ = Background({script, home(), conf}, home() + "/containerd.log");
    wait_until("containerd listens",
               [&] { return fs::exists(home() + "/containerd.sock") && ctr({"version"}).code == 0; });
    make_images(home() + "/archives");
    for (const auto& archive : fs::directory_iterator(home() + "/archives")) {
      ASSERT_EQ(ctr({"images", "import", archive.path()}).code, 0) << archive.path();
    }
  }

 private:
  Background containerd_;
};

TEST_F(ContainerdTest, TheAgentRunsTheExamplesOnContainerd) {
  for (const auto& manifest : fs::directory_iterator(KEELSON_SOURCE_DIR "/deploy/examples/manifests")) {
    fs::copy(manifest.path(), home() + "/manifests");
  }
  start_node({"--roles", "agent", "--cri-socket", home() + "/containerd.sock"});
  for (const char* name : {"web", "frontend", "volumes"}) {
    wait_ready(name);
  }
  auto phase = [&](const std::string& name) { return std::string(pod(name).at("status").at("phase").as_string()); };
  wait_until("the pipeline has succeeded", [&] { return phase("pipeline") == "Succeeded"; });
  wait_until("the crashing pod is restarted", [&] { return restarts("crash") >= 1; });
  auto echo = keelson({"exec", "volumes", "--", "echo", "by containerd"});
  EXPECT_EQ(echo.out, "by containerd\n") << echo.error;
  EXPECT_NE(keelson({"logs", "web"}).out.find("listening"), std::string::npos);

  auto first = process_of("web", "server");
  ASSERT_NE(first, "");
  kill_node();
  start_node({"--roles", "agent", "--cri-socket", home() + "/containerd.sock"});
  wait_ready("web");
  EXPECT_EQ(process_of("web", "server"), first) << "a new agent restarts nothing of containerd's either";
}

}  // namespace
}  // namespace keelson::testing
