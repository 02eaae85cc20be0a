// SPDX-License-Identifier: Apache-2.0
// CPUs of their own for containers that ask for whole ones, of a real API server's pods on this machine's CPUs.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <fstream>

#include "common/cpu_set.h"
#include "common/fd.h"
#include "tests/support/member_pods.h"

namespace keelson::testing {
namespace {

using ::testing::HasSubstr;

constexpr const char* kWholeCpu =
    "    resources: {requests: {cpu: '1', memory: 32Mi}, limits: {cpu: '1', memory: 32Mi}}\n";

// All CPUs but the last are reserved: that one is to be had.
class CpuManagerTest : public MemberPodsTest {
 protected:
  void SetUp() override {
    MemberPodsTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    auto online = read_file("/sys/devices/system/cpu/online").value_or("");
    online.erase(online.find_last_not_of('\n') + 1);
    all_ = CpuSet::parse(online).value_or(CpuSet());
    if (all_.size() < 2) {
      GTEST_SKIP() << "SKIP: needs two CPUs: one is the system's, one a container's";
    }
    last_ = CpuSet({all_.numbers().back()});
    start_agent();
  }

  void start_agent() {
    join({"--client-ca-file", control_plane_->authority_file(), "--cpu-manager-policy", "static", "--reserved-cpus",
          rest()});
    wait_node_ready();
  }
  std::string rest() const { return (all_ - last_).to_string(); }
  std::string state_file() const { return home() + "/root/cpu_manager_state"; }
  std::string state() const { return read_file(state_file()).value_or(""); }

  /// What the kernel says of the container's process.
  std::string allowed(const std::string& pod) { return allowed_to(process_of(pod, "main")); }
  static std::string allowed_to(const std::string& process) {
    constexpr std::string_view kKey = "Cpus_allowed_list:\t";
    const auto text = read_file("/proc/" + process + "/status").value_or("");
    const size_t at = text.find(kKey);
    return at == text.npos ? "" : text.substr(at + kKey.size(), text.find('\n', at) - at - kKey.size());
  }
  void expect_allowed(const std::string& pod, const std::string& cpus) {
    wait_until(fmt::format("{} runs on CPUs {}", pod, cpus), [&] { return allowed(pod) == cpus; });
    EXPECT_EQ(allowed(pod), cpus) << log();
  }
  /// That no quota holds the container, nor its pod.
  void expect_no_quota(const std::string& pod) {
    const auto lines = read_file("/proc/" + process_of(pod, "main") + "/cgroup").value_or("");
    std::string folder;
    bool second = true;
    for (size_t at = 0; at < lines.size(); at = lines.find('\n', at) + 1) {
      const auto line = lines.substr(at, lines.find('\n', at) - at);
      const auto controllers = "," + line.substr(line.find(':') + 1, line.rfind(":/") - line.find(':') - 1) + ",";
      if (controllers.contains(",cpu,")) {
        folder = "/sys/fs/cgroup/cpu" + line.substr(line.rfind(":/") + 1);
        second = false;
      } else if (folder.empty() && line.starts_with("0::")) {
        folder = "/sys/fs/cgroup" + line.substr(3);
      }
    }
    for (const auto& place : {folder, folder.substr(0, folder.rfind('/'))}) {
      const auto quota = read_file(place + (second ? "/cpu.max" : "/cpu.cfs_quota_us")).value_or("not there");
      EXPECT_TRUE(second ? quota.starts_with("max ") : quota == "-1\n") << place << ": " << quota;
    }
  }
  static std::string metrics() {
    return kubectl({"get", "--raw", fmt::format("/api/v1/nodes/{}/proxy/metrics", kNode)}).out;
  }

  CpuSet all_;
  CpuSet last_;
};

TEST_F(CpuManagerTest, AWholeCpuIsItsOwnAndTheOthersLeaveIt) {
  create_pod("shared", kRuns);
  expect_ready("shared");
  expect_allowed("shared", all_.to_string());
  create_pod("own", kRuns, kWholeCpu);
  expect_ready("own");
  expect_allowed("own", last_.to_string());
  expect_allowed("shared", rest());
  expect_no_quota("own");
  EXPECT_EQ(field("own", "containerStatuses[0].resources.limits.cpu"), "1");
  const auto uid = kubectl({"get", "pod", "own", "-o", "jsonpath={.metadata.uid}"}).out;
  EXPECT_THAT(state(), HasSubstr(fmt::format(R"("entries":{{"{}":{{"main":"{}"}}}})", uid, last_.to_string())));
  EXPECT_THAT(metrics(), HasSubstr("kubelet_cpu_manager_exclusive_cpu_allocation_count 1\n"));
  EXPECT_THAT(metrics(), HasSubstr("kubelet_cpu_manager_pinning_requests_total 1\n"));

  create_pod("second", kRuns, kWholeCpu);
  expect_soon("second", "phase", "Failed");
  EXPECT_EQ(field("second", "reason"), "OutOfcpu");

  const auto changed = kubectl({"patch", "pod", "own", "--subresource", "resize", "-p",
                                R"({"spec":{"containers":[{"name":"main","resources":)"
                                R"({"requests":{"cpu":"500m"},"limits":{"cpu":"500m"}}}]}})"});
  ASSERT_EQ(changed.code, 0) << changed.error;
  expect_soon("own", "conditions[?(@.type==\"PodResizePending\")].reason", "Infeasible");
  EXPECT_EQ(field("own", "conditions[?(@.type==\"PodResizePending\")].message"),
            "Resize is infeasible for Guaranteed Pods alongside CPU Manager policy \"static\"");

  kubectl({"delete", "pod", "own", "--grace-period=1", "--timeout=60s"});
  expect_allowed("shared", all_.to_string());
  wait_until("nothing is told of it any more", [&] { return state().find("entries") == std::string::npos; });
}

TEST_F(CpuManagerTest, WhatIsGivenOutlivesTheAgentAndItsFile) {
  create_pod("own", kRuns, kWholeCpu, "");
  create_pod("shared", kRuns);
  expect_ready("own");
  expect_ready("shared");
  expect_allowed("shared", rest());
  const auto id = field("own", "containerStatuses[0].containerID");
  const auto written = state();
  EXPECT_THAT(written, HasSubstr("entries"));
  const auto process = process_of("own", "main");
  kill_node();
  EXPECT_EQ(allowed_to(process), last_.to_string()) << "nobody is needed for it";
  start_agent();
  create_pod("late", kRuns);
  expect_ready("late");
  expect_allowed("late", rest());
  EXPECT_EQ(allowed("own"), last_.to_string());

  kill_node();
  std::ofstream(state_file()) << "{";
  start_agent();
  wait_until("it is known again who has what", [&] { return state() == written; });
  EXPECT_EQ(state(), written) << log();
  expect_allowed("late", rest());
  EXPECT_EQ(allowed("own"), last_.to_string());
  expect_no_quota("own");
  EXPECT_EQ(field("own", "containerStatuses[0].containerID"), id) << "the same container";
  EXPECT_EQ(field("own", "containerStatuses[0].restartCount"), "0");
  EXPECT_EQ(field("own", "conditions[?(@.type==\"PodResizeInProgress\")].status"), "");
}

}  // namespace
}  // namespace keelson::testing
