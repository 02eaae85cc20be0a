// SPDX-License-Identifier: Apache-2.0
// `keelson node --roles network`: services of a folder of manifests, as clients of a node see them.
#include <chrono>

#include "tests/e2e/service_node.h"

namespace keelson::testing {
namespace {

class ServicesTest : public ServiceNode {};

TEST_F(ServicesTest, PacketsFromPodsAndFromOutside) {
  auto listener = server("pod2", "10.2.0.2");
  EXPECT_EQ(source_seen("pod1", "10.96.0.1", 80, listener), "10.2.0.1");
  EXPECT_EQ(source_seen("client", "10.96.0.1", 80, listener), "10.1.0.1");
  EXPECT_EQ(source_seen("client", "10.1.0.1", 30080, listener), "10.1.0.1");
  EXPECT_EQ(source_seen("pod1", "10.96.0.9", 80, listener), strerror(ECONNREFUSED));
}

TEST_F(ServicesTest, SocketsOfTheNodeAndOfPods) {
  auto listener = server("pod2", "10.2.0.2");
  CgroupGuard inside(daemon_->cgroup());
  std::string peer;
  EXPECT_EQ(source_seen("node", "10.96.0.1", 80, listener, &peer),
            "169.254.1.1");  // The node's address on the pod's link.
  EXPECT_EQ(peer, "10.96.0.1:80");
  EXPECT_EQ(source_seen("pod1", "10.96.0.1", 80, listener, &peer), "10.2.0.1");
  EXPECT_EQ(peer, "10.96.0.1:80");
  for (const char* address : {"10.1.0.1", "127.0.0.1", "127.8.8.8"}) {
    EXPECT_EQ(source_seen("node", address, 30080, listener, &peer), "169.254.1.1") << address;
  }
  auto refused = Socket::tcp(*net_, "node");
  EXPECT_EQ(refused.connect("10.96.0.9", 80), ECONNREFUSED);

  auto dns = Socket::udp(*net_, "pod2");
  dns.bind("10.2.0.2", 8080);
  auto client = Socket::udp(*net_, "pod1");
  std::string from;
  ASSERT_EQ(client.send_to("question", "10.96.0.1", 53), 0);
  ASSERT_EQ(dns.receive(&from), "question");
  dns.send_to("answer", ebpf::testing::host_of(from),
              static_cast<uint16_t>(std::stoi(from.substr(from.rfind(':') + 1))));
  ASSERT_EQ(client.receive(&from), "answer");
  EXPECT_EQ(from, "10.96.0.1:53");
}

TEST_F(ServicesTest, AChangedManifestIsRouted) {
  auto old_one = server("pod2", "10.2.0.2"), new_one = server("other", "10.3.0.1");
  EXPECT_EQ(source_seen("pod1", "10.96.0.1", 80, old_one), "10.2.0.1");
  daemon_->apply("slice.yaml", slice("10.3.0.1", "elsewhere"));
  daemon_->wait_for(NetworkDaemon::kRouted, 2);
  EXPECT_EQ(source_seen("pod1", "10.96.0.1", 80, new_one), "10.2.0.1");
  // What cannot be read changes nothing.
  daemon_->apply("slice.yaml", "kind: [");
  daemon_->wait_for("slice.yaml");
  EXPECT_EQ(source_seen("pod1", "10.96.0.1", 80, new_one), "10.2.0.1");
}

TEST_F(ServicesTest, KilledAndStartedAgain) {
  auto listener = server("pod2", "10.2.0.2"), other = server("other", "10.3.0.1");
  auto client = Socket::tcp(*net_, "pod1");
  ASSERT_EQ(client.connect("10.96.0.1", 80), 0);
  auto open = listener.accept();
  ASSERT_TRUE(open);
  daemon_->kill();
  EXPECT_EQ(source_seen("pod1", "10.96.0.1", 80, listener), "10.2.0.1") << "with no daemon";
  daemon_->apply("slice.yaml", slice("10.3.0.1", "elsewhere"));
  start();
  EXPECT_EQ(source_seen("pod1", "10.96.0.1", 80, other), "10.2.0.1");
  ASSERT_EQ(client.send("still here"), 0);
  EXPECT_EQ(open->receive(), "still here");
}

TEST_F(ServicesTest, ALinkThatComesLaterIsServed) {
  auto listener = server("pod2", "10.2.0.2");
  net_->in("node",
           "ip link add late type veth peer name eth1 netns " + fs::path(net_->path("pod1")).filename().string() +
               " && ip address add 169.254.2.1/32 dev late && ip link set late up && ip route add 10.2.0.9 dev late");
  net_->in("pod1",
           "ip link set eth1 up && ip address add 10.2.0.9/32 dev eth1 && ip route add 169.254.2.1 dev eth1 && "
           "ip route add 10.96.0.0/16 via 169.254.2.1 dev eth1 src 10.2.0.9");
  std::string seen;
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (seen != "10.2.0.9" && std::chrono::steady_clock::now() < end) {
    seen = source_seen("pod1", "10.96.0.1", 80, listener);
  }
  EXPECT_EQ(seen, "10.2.0.9");
}

}  // namespace
}  // namespace keelson::testing
