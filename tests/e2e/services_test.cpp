// SPDX-License-Identifier: Apache-2.0
// `keelson node --roles network`: services of a folder of manifests, as clients of a node see them.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "ebpf/node_links.h"
#include "ebpf/testing.h"
#include "tests/support/process.h"

namespace keelson::testing {
namespace {

namespace fs = std::filesystem;
using ebpf::testing::SmallNet;
using ebpf::testing::Socket;

constexpr const char* kService = R"(
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  clusterIPs: [10.96.0.1]
  ports: [{name: http, port: 80, nodePort: 30080}, {name: dns, port: 53, protocol: UDP}]
---
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec: {clusterIP: 10.96.0.9, ports: [{port: 80}]}
)";

std::string slice(const std::string& address, const std::string& node) {
  return R"(
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}, {name: dns, port: 8080, protocol: UDP}]
endpoints: [{addresses: [)" +
         address + "], nodeName: " + node + "}]\n";
}

class ServicesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = ebpf::testing::why_not(); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
    auto root = ebpf::cgroup2_root();
    if (!root) {
      GTEST_SKIP() << root.error().message();
    }
    name_ = "kl-services-" + std::to_string(getpid());
    cgroup_ = *root + "/" + name_;
    for (const auto& line : lines(read_text("/proc/self/cgroup"))) {
      if (line.starts_with("0::")) {
        home_cgroup_ = *root + line.substr(3);
      }
    }
    fs::create_directories(cgroup_);
    folder_ = fs::temp_directory_path() / name_;
    fs::create_directories(folder_ / "manifests");
    net_.emplace();
    write("service.yaml", kService);
    write("slice.yaml", slice("10.2.0.2", "here"));
    start();
  }
  void TearDown() override {
    if (name_.empty()) {
      return;
    }
    enter_cgroup(home_cgroup_);
    if (daemon_.alive()) {
      EXPECT_EQ(daemon_.stop(), 0) << read_text(log());
    }
    EXPECT_FALSE(fs::exists("/sys/fs/bpf/" + name_ + "/services")) << "pins are left";
    fs::remove("/sys/fs/bpf/" + name_);
    if (HasFailure()) {
      std::fputs(read_text(log()).c_str(), stderr);
    }
    net_.reset();
    std::error_code ignored;
    fs::remove(cgroup_, ignored);
    EXPECT_FALSE(ignored) << "the cgroup is in use: " << ignored.message();
    fs::remove_all(folder_);
  }

  static std::vector<std::string> lines(const std::string& text) {
    std::vector<std::string> result;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
      result.push_back(line);
    }
    return result;
  }
  std::string log() const { return (folder_ / "log").string(); }
  void write(const std::string& file, const std::string& text) {
    std::ofstream(folder_ / ("." + file)) << text;
    fs::rename(folder_ / ("." + file), folder_ / "manifests" / file);
  }
  void enter_cgroup(const std::string& path) { std::ofstream(path + "/cgroup.procs") << getpid(); }

  void start() {
    std::string home = folder_.string();
    daemon_ = Background({"nsenter", "--net=" + net_->path("node"), std::string(getenv("KEELSON_BIN")) + "/keelson",
                          "--run", home + "/run", "node", "--roles", "network", "--node-name", "here", "--root",
                          home + "/root", "--manifests", home + "/manifests", "--bpf-dir", "/sys/fs/bpf/" + name_,
                          "--socket-cgroup", cgroup_, "--remove-services-on-exit"},
                         log());
    wait_for(1);
  }
  // Until the log has said so often that services are routed.
  void wait_for(int count) {
    auto found = [&] {
      return std::ranges::count_if(lines(read_text(log())),
                                   [](const auto& line) { return line.find("services are routed") != line.npos; });
    };
    for (int i = 0; i < 500 && found() < count; i++) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ASSERT_GE(found(), count) << read_text(log());
  }

  Socket server(const std::string& ns, const std::string& address) {
    auto socket = Socket::tcp(*net_, ns);
    socket.bind(address, 8080);
    socket.listen();
    return socket;
  }
  std::string source_seen(const std::string& ns, const std::string& to, uint16_t port, Socket& listener,
                          std::string* peer = nullptr) {
    auto client = Socket::tcp(*net_, ns);
    if (int error = client.connect(to, port, 1500)) {
      return strerror(error);
    }
    if (peer) {
      *peer = client.peer();
    }
    std::string from;
    auto accepted = listener.accept(&from);
    if (!accepted) {
      return "nobody came";
    }
    accepted->send("hello");
    return client.receive() == "hello" ? ebpf::testing::host_of(from) : "no reply";
  }

  std::string name_, cgroup_, home_cgroup_;
  fs::path folder_;
  std::optional<SmallNet> net_;
  Background daemon_;
};

TEST_F(ServicesTest, PacketsFromPodsAndFromOutside) {
  auto listener = server("pod2", "10.2.0.2");
  EXPECT_EQ(source_seen("pod1", "10.96.0.1", 80, listener), "10.2.0.1");
  EXPECT_EQ(source_seen("client", "10.96.0.1", 80, listener), "10.1.0.1");
  EXPECT_EQ(source_seen("client", "10.1.0.1", 30080, listener), "10.1.0.1");
  EXPECT_EQ(source_seen("pod1", "10.96.0.9", 80, listener), strerror(ECONNREFUSED));
}

TEST_F(ServicesTest, SocketsOfTheNodeAndOfPods) {
  auto listener = server("pod2", "10.2.0.2");
  enter_cgroup(cgroup_);
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
  write("slice.yaml", slice("10.3.0.1", "elsewhere"));
  wait_for(2);
  EXPECT_EQ(source_seen("pod1", "10.96.0.1", 80, new_one), "10.2.0.1");
  // What cannot be read changes nothing.
  write("slice.yaml", "kind: [");
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_EQ(source_seen("pod1", "10.96.0.1", 80, new_one), "10.2.0.1");
}

TEST_F(ServicesTest, KilledAndStartedAgain) {
  auto listener = server("pod2", "10.2.0.2"), other = server("other", "10.3.0.1");
  auto client = Socket::tcp(*net_, "pod1");
  ASSERT_EQ(client.connect("10.96.0.1", 80), 0);
  auto open = listener.accept();
  ASSERT_TRUE(open);
  daemon_.kill();
  EXPECT_EQ(source_seen("pod1", "10.96.0.1", 80, listener), "10.2.0.1") << "with no daemon";
  write("slice.yaml", slice("10.3.0.1", "elsewhere"));
  start();
  wait_for(2);
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
  for (int i = 0; i < 20 && seen != "10.2.0.9"; i++) {
    seen = source_seen("pod1", "10.96.0.1", 80, listener);
  }
  EXPECT_EQ(seen, "10.2.0.9");
}

}  // namespace
}  // namespace keelson::testing
