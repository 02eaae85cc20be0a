// SPDX-License-Identifier: Apache-2.0
// ServiceMode::hand_back: the role is done when no flow is its programs' any more, and leaves nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <optional>
#include <thread>

#include "ebpf/node_links.h"
#include "ebpf/testing.h"
#include "network/network_role.h"

namespace keelson::network {
namespace {

namespace fs = std::filesystem;
using ebpf::testing::SmallNet;
using ebpf::testing::Socket;

constexpr const char* kServices = R"(
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  clusterIPs: [10.96.0.1]
  ports: [{name: http, port: 80, targetPort: 8080}, {name: dns, port: 53, targetPort: 8080, protocol: UDP}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}, {name: dns, port: 8080, protocol: UDP}]
endpoints: [{addresses: [10.2.0.2], nodeName: here}]
)";

class HandBackTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = ebpf::testing::why_not(); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
    auto cgroup = ebpf::cgroup2_root();
    if (!cgroup) {
      GTEST_SKIP() << cgroup.error().message();
    }
    auto name = "kl-hand-back-" + std::to_string(getpid());
    home_ = fs::temp_directory_path() / name;
    fs::create_directories(home_ / "manifests");
    std::ofstream(home_ / "manifests/web.yaml") << kServices;
    net_.emplace();
    inside_.emplace(net_->enter("node"));
    options_.router = {.node_name = "here", .bpf_dir = "/sys/fs/bpf/" + name, .socket_cgroup = *cgroup + "/" + name};
    fs::create_directories(options_.router.socket_cgroup);
    options_.router.links.uplinks = {"eth0"};
    options_.router.flow_times.udp = std::chrono::seconds(8);
    options_.manifest_dir = home_ / "manifests";
    options_.admin_socket = home_ / "network.sock";
    options_.handed_back = [this] { done_.set_value(); };
  }
  void TearDown() override {
    role_.reset();
    if (net_) {
      EXPECT_TRUE(ebpf::Programs::remove(options_.router.bpf_dir));
    }
    inside_.reset();
    std::error_code ignored;
    fs::remove(options_.router.socket_cgroup, ignored);
    fs::remove(options_.router.bpf_dir, ignored);
    fs::remove_all(home_, ignored);
    EXPECT_FALSE(fs::exists(options_.router.bpf_dir));
  }

  void start(ServiceMode mode) {
    options_.router.mode = mode;
    auto role = NetworkRole::start(options_);
    ASSERT_TRUE(role) << role.error().message();
    role_ = *std::move(role);
  }
  void route() {
    start(ServiceMode::route);
    auto probe = Socket::udp(*net_, "pod2"), client = Socket::udp(*net_, "pod1");
    probe.bind("10.2.0.2", 8080);
    bool routed = false;
    for (int i = 0; i < 120 && !routed; i++) {
      client.send_to("anybody?", "10.96.0.1", 53);
      routed = !probe.is_silent();
    }
    ASSERT_TRUE(routed);
  }
  void end() {
    EXPECT_TRUE(role_->stop());
    role_.reset();
  }
  void hand_back() {
    end();
    EXPECT_TRUE(is_pinned());
    start(ServiceMode::hand_back);
  }
  bool is_done(std::chrono::seconds patience) {
    return done_.get_future().wait_for(patience) == std::future_status::ready;
  }
  bool is_pinned() const { return fs::exists(options_.router.bpf_dir + "/services"); }

  NetworkOptions options_;
  fs::path home_;
  std::optional<SmallNet> net_;
  std::optional<NetnsGuard> inside_;
  std::promise<void> done_;
  std::unique_ptr<NetworkRole> role_;
};

TEST_F(HandBackTest, ItIsDoneWithTheLastFlowAndLeavesNothing) {
  route();
  auto server = Socket::udp(*net_, "pod2"), client = Socket::udp(*net_, "pod1"), late = Socket::udp(*net_, "pod1");
  server.bind("10.2.0.2", 8080);
  client.send_to("before", "10.96.0.1", 53);
  ASSERT_EQ(server.receive(), "before");
  {
    // The flow is never silent, however long the next one takes to start.
    std::jthread keeps([&](const std::stop_token& enough) {
      while (!enough.stop_requested()) {
        client.send_to("still", "10.96.0.1", 53);
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
      }
    });
    ASSERT_NO_FATAL_FAILURE(hand_back());
  }
  while (!server.is_silent()) {
  }
  for (int i = 0; i < 50; i++) {  // longer than a silent flow is known
    client.send_to("still", "10.96.0.1", 53);
    ASSERT_EQ(server.receive(), "still") << i;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  late.send_to("new", "10.96.0.1", 53);
  EXPECT_TRUE(server.is_silent()) << "a new flow is another proxy's";
  EXPECT_TRUE(is_pinned());
  ASSERT_TRUE(is_done(std::chrono::seconds(90)));
  end();
  EXPECT_FALSE(is_pinned());
}

TEST_F(HandBackTest, AfterItsTimeItCutsWhatIsOpen) {
  route();
  auto server = Socket::tcp(*net_, "pod2"), client = Socket::tcp(*net_, "pod1");
  server.bind("10.2.0.2", 8080);
  server.listen();
  ASSERT_EQ(client.connect("10.96.0.1", 80), 0);
  ASSERT_TRUE(server.accept());
  options_.hand_back_limit = std::chrono::seconds(3);
  hand_back();
  ASSERT_TRUE(is_done(std::chrono::seconds(60)));
  end();
  EXPECT_FALSE(is_pinned());
}

TEST_F(HandBackTest, EndedBeforeItLeavesThePrograms) {
  route();
  auto server = Socket::tcp(*net_, "pod2"), client = Socket::tcp(*net_, "pod1");
  server.bind("10.2.0.2", 8080);
  server.listen();
  ASSERT_EQ(client.connect("10.96.0.1", 80), 0);
  auto accepted = server.accept();
  ASSERT_TRUE(accepted);
  hand_back();
  EXPECT_FALSE(is_done(std::chrono::seconds(6)));
  end();
  EXPECT_TRUE(is_pinned());
  ASSERT_EQ(client.send("goes on"), 0);
  EXPECT_EQ(accepted->receive(), "goes on");
}

}  // namespace
}  // namespace keelson::network
