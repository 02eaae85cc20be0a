// SPDX-License-Identifier: Apache-2.0
// What a KubeletConfiguration says of pods is what pods of a real cluster find on the node.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/member_pods.h"

namespace keelson::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

bool unified() {
  return fs::exists("/sys/fs/cgroup/cgroup.controllers");
}

class ConfigurationTest : public MemberPodsTest {
 protected:
  void join_with(const std::string& fields, std::vector<std::string> flags = {}) {
    std::ofstream(home() + "/kubelet.yaml")
        << "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nfailSwapOn: false\n"
           "evictionHard: {memory.available: 1Mi}\n"
        << fields;
    flags.insert(flags.end(), {"--config", home() + "/kubelet.yaml"});
    join(std::move(flags));
    wait_node_ready();
  }
  std::string cgroup_value(const std::string& path, const std::string& controller, const std::string& file) const {
    const auto text =
        read_text("/sys/fs/cgroup" + (unified() ? "" : "/" + controller) + cgroup_root() + path + "/" + file);
    return text.substr(0, text.find('\n'));
  }
  std::string memory_of_all() const {
    return cgroup_value("/kubepods", "memory", unified() ? "memory.max" : "memory.limit_in_bytes");
  }
  static int64_t memory_of_machine() {
    std::istringstream table(read_text("/proc/meminfo"));
    std::string word;
    int64_t kibibytes = 0;
    table >> word >> kibibytes;
    return kibibytes * 1024;
  }
  std::string in_pod(const std::string& command) { return keelson({"exec", "web", "--", "sh", "-c", command}).out; }
};

TEST_F(ConfigurationTest, AllPodsTogetherAreHeldToWhatIsNotReserved) {
  join_with("systemReserved: {memory: 64Mi, cpu: 500m}\nkubeReserved: {pid: '100'}\n");
  ASSERT_TRUE(has_event(kNode, "Normal NodeAllocatableEnforced Updated Node Allocatable limit across pods\n"));
  EXPECT_EQ(memory_of_all(), std::to_string(memory_of_machine() - (64 << 20)));
  EXPECT_NE(cgroup_value("/kubepods", "pids", "pids.max"), "max");
  if (!unified()) {
    const auto cpus = std::stoi(node("{.status.capacity.cpu}"));
    EXPECT_EQ(cgroup_value("/kubepods", "cpu", "cpu.shares"), std::to_string(cpus * 1024 - 512));
  }
  kill_node();
  join_with("systemReserved: {memory: 64Mi}\nenforceNodeAllocatable: []\n");
  wait_until("the machine's memory is the limit",
             [this] { return memory_of_all() == std::to_string(memory_of_machine()); });
}

TEST_F(ConfigurationTest, APodFindsWhatTheFileSays) {
  std::ofstream(home() + "/resolv.conf") << "nameserver 192.0.2.53\n";
  join_with("podPidsLimit: 77\nseccompDefault: true\nallowedUnsafeSysctls: ['kernel.msg*']\nresolvConf: " + home() +
                "/resolv.conf\ncpuCFSQuota: false\n",
            {"--v=4", "--hostname-override", kNode, "--feature-gates=Some=true"});
  create_pod("web", kRuns, "    resources: {limits: {cpu: 100m}}\n",
             "  dnsPolicy: Default\n  securityContext: {sysctls: [{name: kernel.msgmax, value: '16384'}]}\n");
  expect_ready("web");
  EXPECT_EQ(in_pod("cat /proc/sys/kernel/msgmax"), "16384\n");
  EXPECT_EQ(in_pod("cat /etc/resolv.conf"), "nameserver 192.0.2.53\n");
  EXPECT_EQ(in_pod("grep Seccomp: /proc/1/status"), "Seccomp:\t2\n") << "a filter";
  const auto uid = kubectl({"get", "pod", "web", "-o", "jsonpath={.metadata.uid}"}).out;
  EXPECT_EQ(cgroup_value("/kubepods/burstable/pod" + uid, "pids", "pids.max"), "77");
  EXPECT_EQ(cgroup_value("/kubepods/burstable/pod" + uid, "cpu", unified() ? "cpu.max" : "cpu.cfs_quota_us"),
            unified() ? "max 100000" : "-1");
  create_pod("other", kRuns, "", "  securityContext: {sysctls: [{name: net.core.somaxconn, value: '8192'}]}\n");
  expect_soon("other", "phase", "Failed");
  EXPECT_EQ(field("other", "reason"), "SysctlForbidden");
  EXPECT_THAT(field("other", "message"), HasSubstr("forbidden sysctl: \"net.core.somaxconn\" not allowlisted"));
}

}  // namespace
}  // namespace keelson::testing
