// SPDX-License-Identifier: Apache-2.0
// Connections through services while the daemon is killed, restarted, and replaced by another version and back. Short
// here; `./dev upgrade` runs it with 10,000 open connections and 1,000 new ones a second for 20 rounds.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <thread>

#include "ebpf/node_links.h"
#include "ebpf/programs.h"
#include "ebpf/testing.h"
#include "tests/support/process.h"

namespace keelson::testing {
namespace {

namespace fs = std::filesystem;
using ebpf::testing::SmallNet;
using ebpf::testing::Socket;

size_t number(const char* variable, size_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::strtoul(text, nullptr, 10) : otherwise;
}

constexpr const char* kServices = R"(
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  clusterIPs: [10.96.0.1]
  ports: [{name: http, port: 80, nodePort: 30080}, {name: dns, port: 53, protocol: UDP}]
)";

std::string slice(const std::string& endpoints) {
  return R"(
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}, {name: dns, port: 8080, protocol: UDP}]
endpoints: )" +
         endpoints;
}
const std::string kPod2 = "{addresses: [10.2.0.2], nodeName: here}";
const std::string kOther = "{addresses: [10.3.0.1], nodeName: elsewhere}";

class UpgradeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = ebpf::testing::why_not(); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
    auto root = ebpf::cgroup2_root();
    if (!root) {
      GTEST_SKIP() << root.error().message();
    }
    name_ = "kl-upgrade-" + std::to_string(getpid());
    cgroup_ = *root + "/" + name_;
    fs::create_directories(cgroup_);
    folder_ = fs::temp_directory_path() / name_;
    fs::create_directories(folder_ / "manifests");
    net_.emplace();
    bin_ = std::getenv("KEELSON_BIN");
    programs_ = fs::path(bin_).parent_path() / "test";
    write("service.yaml", kServices);
    write("slice.yaml", slice("[" + kPod2 + ", " + kOther + "]"));
  }
  void TearDown() override {
    if (name_.empty()) {
      return;
    }
    daemon_.kill();
    if (HasFailure()) {
      std::cerr << read_text(log());
    }
    EXPECT_TRUE(ebpf::Programs::remove(pins()));
    fs::remove(pins());
    net_.reset();
    std::error_code ignored;
    fs::remove(cgroup_, ignored);
    fs::remove_all(folder_);
  }

  std::string pins() const { return "/sys/fs/bpf/" + name_; }
  std::string log() const { return (folder_ / ("log" + std::to_string(starts_))).string(); }
  void write(const std::string& file, const std::string& text) {
    std::ofstream(folder_ / ("." + file)) << text;
    fs::rename(folder_ / ("." + file), folder_ / "manifests" / file);
  }

  // Until a file has so many lines with this text.
  static void wait_for(const std::string& file, const std::string& text, int times = 1) {
    auto found = [&] {
      std::istringstream stream(read_text(file));
      int count = 0;
      for (std::string line; std::getline(stream, line);) {
        count += line.find(text) != line.npos;
      }
      return count;
    };
    for (int i = 0; i < 6000 && found() < times; i++) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ASSERT_GE(found(), times) << "no \"" << text << "\" in " << file << ":\n" << read_text(file);
  }

  void start(const std::string& binary) {
    starts_++;
    std::string home = folder_.string();
    daemon_ = Background({"nsenter", "--net=" + net_->path("node"), binary, "--run", home + "/run", "node", "--roles",
                          "network", "--node-name", "here", "--root", home + "/root", "--manifests",
                          home + "/manifests", "--bpf-dir", pins(), "--socket-cgroup", cgroup_},
                         log());
    wait_for(log(), "services are routed");
  }
  std::string ours() const { return bin_ + "/keelson"; }
  std::string theirs() const { return programs_ / "keelson-next"; }

  Background serve(const std::string& ns, const std::string& address) {
    auto file = (folder_ / ("serve-" + ns)).string();
    Background server({"nsenter", "--net=" + net_->path(ns), programs_ / "connection-load", "serve", address, "8080"},
                      file);
    wait_for(file, "ready");
    return server;
  }

  struct Load {
    Background process;
    std::string file;
  };
  Load drive(const std::string& ns, const std::string& cgroup, size_t part, const std::string& to) {
    Load load{{}, (folder_ / ("drive-" + ns + std::to_string(drives_++))).string()};
    auto share = [&](const char* variable, size_t otherwise) {
      return std::to_string(number(variable, otherwise) * part / 100);
    };
    std::string enter = cgroup.empty() ? "" : "echo $$ > " + cgroup + "/cgroup.procs; ";
    load.process =
        Background({"nsenter", "--net=" + net_->path(ns), "sh", "-c",
                    enter + "exec " + (programs_ / "connection-load").string() + " drive " +
                        share("KEELSON_UPGRADE_OPEN", 1000) + " " + share("KEELSON_UPGRADE_RATE", 100) + " " + to},
                   load.file);
    wait_for(load.file, "ready");
    return load;
  }
  void expect_whole(Load& load) {
    EXPECT_EQ(load.process.stop(), 0);
    auto text = read_text(load.file);
    EXPECT_NE(text.find("failed 0 resets 0 silent 0 "), text.npos) << text;
    std::cout << load.file.substr(load.file.rfind('/') + 1) << ": " << text.substr(text.find("opened"));
  }

  std::string name_, cgroup_, bin_;
  fs::path folder_, programs_;
  std::optional<SmallNet> net_;
  Background daemon_;
  int starts_ = 0, drives_ = 0;
};

TEST_F(UpgradeTest, NoConnectionIsLost) {
  start(ours());
  auto local = serve("pod2", "10.2.0.2"), remote = serve("other", "10.3.0.1");
  auto pod = drive("pod1", "", 40, "10.96.0.1 80");
  auto outside = drive("client", "", 40, "10.1.0.1 30080");
  // Not of the pod that the first is of: at the endpoint two of its connections could have the same ports, one
  // translated at the socket and the other on its way.
  auto sockets = drive("node", cgroup_, 20, "10.96.0.1 80");
  const auto rounds = number("KEELSON_UPGRADE_ROUNDS", 2);
  for (size_t round = 0; round < rounds && !HasFatalFailure(); round++) {
    daemon_.kill();
    start(ours());
    daemon_.stop();
    start(theirs());
    daemon_.kill();
    start(theirs());
    daemon_.stop();
    start(ours());
  }
  expect_whole(pod);
  expect_whole(outside);
  expect_whole(sockets);
}

// In the middle of taking over, many times: each start is killed after another while.
TEST_F(UpgradeTest, KilledWhileItTakesOver) {
  start(ours());
  auto local = serve("pod2", "10.2.0.2"), remote = serve("other", "10.3.0.1");
  auto pod = drive("pod1", "", 50, "10.96.0.1 80");
  auto outside = drive("client", "", 50, "10.1.0.1 30080");
  for (int i = 0; i < 12; i++) {
    daemon_.kill();
    starts_++;
    daemon_ = Background(
        {"nsenter", "--net=" + net_->path("node"), i % 3 == 2 ? ours() : theirs(), "--run", folder_.string() + "/run",
         "node", "--roles", "network", "--node-name", "here", "--root", folder_.string() + "/root", "--manifests",
         folder_.string() + "/manifests", "--bpf-dir", pins(), "--socket-cgroup", cgroup_},
        log());
    std::this_thread::sleep_for(std::chrono::milliseconds(100 + 170 * i));
  }
  daemon_.kill();
  start(ours());
  expect_whole(pod);
  expect_whole(outside);
}

}  // namespace
}  // namespace keelson::testing
