// SPDX-License-Identifier: Apache-2.0
// A node with pods and a client, each a network namespace, and `keelson node --roles network` on it.
#pragma once

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

namespace fs = std::filesystem;
using ebpf::testing::SmallNet;
using ebpf::testing::Socket;

// 10.96.0.1: web, TCP 80 (node port 30080) and UDP 53; 10.96.0.9: nobody serves it.
inline constexpr const char* kServices = R"(
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

inline std::string slice(const std::string& address, const std::string& node) {
  return R"(
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}, {name: dns, port: 8080, protocol: UDP}]
endpoints: [{addresses: [)" +
         address + "], nodeName: " + node + "}]\n";
}

class ServiceNode : public ::testing::Test {
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
    write("service.yaml", kServices);
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

  /// `keelson ARGUMENTS` asked of this node.
  Output ask(std::vector<std::string> arguments) const {
    std::vector<std::string> command{std::string(getenv("KEELSON_BIN")) + "/keelson", "--run",
                                     (folder_ / "run").string()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return run(command);
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

}  // namespace keelson::testing
