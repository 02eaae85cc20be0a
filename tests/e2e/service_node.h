// SPDX-License-Identifier: Apache-2.0
// A node with pods and a client, each a network namespace, and `keelson node --roles network` on it.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>

#include "ebpf/testing.h"
#include "tests/support/network_daemon.h"
#include "tests/support/process.h"

namespace keelson::testing {

namespace fs = std::filesystem;
using ebpf::testing::CgroupGuard;
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
    if (auto reason = NetworkDaemon::why_not(); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
    net_.emplace();
    daemon_.emplace(*net_);
    daemon_->apply("service.yaml", kServices);
    daemon_->apply("slice.yaml", slice("10.2.0.2", "here"));
    start();
  }
  void TearDown() override {
    if (!daemon_) {
      return;
    }
    if (daemon_->alive()) {
      EXPECT_EQ(daemon_->stop(), 0) << daemon_->log();
    }
    EXPECT_FALSE(fs::exists(daemon_->pins() + "/services")) << "pins are left";
    fs::remove(daemon_->pins());
    if (HasFailure()) {
      std::fputs(daemon_->log().c_str(), stderr);
    }
  }

  void start() { daemon_->start({"--remove-services-on-exit"}); }

  /// `keelson ARGUMENTS` asked of this node.
  std::vector<std::string> command_line(const std::vector<std::string>& arguments) const {
    std::vector<std::string> command{std::string(getenv("KEELSON_BIN")) + "/keelson", "--run", daemon_->home() / "run"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return command;
  }
  Output ask(const std::vector<std::string>& arguments) const { return run(command_line(arguments)); }

  Socket server(const std::string& ns, const std::string& address) {
    auto socket = Socket::tcp(*net_, ns);
    socket.bind(address, 8080);
    socket.listen();
    return socket;
  }
  std::string source_seen(const std::string& ns, const std::string& to, uint16_t port, Socket& listener,
                          std::string* peer = nullptr) {
    auto client = Socket::tcp(*net_, ns);
    if (int error = client.connect(to, port, 10'000)) {
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

  std::optional<SmallNet> net_;
  std::optional<NetworkDaemon> daemon_;
};

}  // namespace keelson::testing
