// SPDX-License-Identifier: Apache-2.0
// The daemon dies; pods do not.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "tests/support/cluster_images.h"
#include "tests/support/node_fixture.h"

namespace keelson::testing {
namespace {

using namespace std::chrono_literals;

constexpr int kPods = 20;

class RestartTest : public NodeTest {
 protected:
  void SetUp() override {
    NodeTest::SetUp();
    if (!IsSkipped()) {
      make_images(home() + "/images");
      start_node();
    }
  }
};

std::string counting_pod(const std::string& name) {
  return fmt::format(R"(apiVersion: v1
kind: Pod
metadata: {{name: {}}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: keelson.example/busybox:1
    command: ["sh", "-c", "i=0; while :; do echo line $i; i=$((i+1)); usleep 50000; done"]
)",
                     name);
}

/// Whether the lines are "line 0", "line 1", ... without a gap.
bool without_gap(const std::string& log) {
  std::istringstream in(log);
  int expected = 0;
  for (std::string line; std::getline(in, line); ++expected) {
    if (line != fmt::format("line {}", expected)) {
      return false;
    }
  }
  return true;
}

TEST_F(RestartTest, KillNineKeepsPodsAddressesLogsAndExitCodes) {
  for (int i = 0; i < kPods; ++i) {
    apply(fmt::format("pod-{}.yaml", i), counting_pod(fmt::format("pod-{}", i)));
  }
  apply("ends.yaml", R"(apiVersion: v1
kind: Pod
metadata: {name: ends}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  containers:
  - {name: main, image: "keelson.example/busybox:1", command: ["sh", "-c", "while [ ! -e /tmp/go ]; do usleep 20000; done; exit 7"]}
)");
  std::map<std::string, std::string> pids;
  std::map<std::string, std::string> addresses;
  for (int i = 0; i < kPods; ++i) {
    auto name = fmt::format("pod-{}", i);
    wait_ready(name, 60s);
    pids[name] = process_of(name, "main");
    addresses[name] = std::string(pod(name).at("status").at("podIP").as_string());
  }
  wait_ready("ends");
  auto ends = process_of("ends", "main");
  kill_node();
  // The container ends while nobody but its shim watches.
  ASSERT_EQ(run({"touch", fmt::format("/proc/{}/root/tmp/go", ends)}).code, 0);
  wait_until("the container ended", [&] { return run({"test", "-d", "/proc/" + ends + "/root/tmp"}).code != 0; });
  start_node();
  wait_until("the exit code of the meantime", [&] {
    auto got = keelson({"get", "pod", "ends", "-o", "json"}).out;
    return got.find("\"exitCode\": 7") != std::string::npos;
  });
  for (int i = 0; i < kPods; ++i) {
    auto name = fmt::format("pod-{}", i);
    wait_ready(name);
    EXPECT_EQ(process_of(name, "main"), pids[name]) << name;
    EXPECT_EQ(std::string(pod(name).at("status").at("podIP").as_string()), addresses[name]) << name;
    EXPECT_EQ(restarts(name), 0) << name;
    std::string log;
    wait_until(name + " has printed 20 lines",
               [&] { return std::ranges::count(log = keelson({"logs", name}).out, '\n') >= 20; });
    EXPECT_TRUE(without_gap(log)) << name << ": " << log;
  }
}

TEST_F(RestartTest, ManyPodsLeaveNothing) {
  const auto before = inventory();
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 10; ++i) {
      apply(fmt::format("pod-{}.yaml", i), counting_pod(fmt::format("pod-{}-{}", round, i)));
    }
    for (int i = 0; i < 10; ++i) {
      wait_ready(fmt::format("pod-{}-{}", round, i), 60s);
    }
    for (int i = 0; i < 10; ++i) {
      remove(fmt::format("pod-{}.yaml", i));
    }
    wait_until("all pods are gone", [&] { return keelson({"get", "pods", "-A", "--no-headers"}).out.empty(); }, 60s);
  }
  expect_inventory(before);
}

}  // namespace
}  // namespace keelson::testing
