// SPDX-License-Identifier: Apache-2.0
// Which sysctls a pod may set, and in which words it is refused.
#include "agent/cluster/sysctls.h"

#include <gtest/gtest.h>

namespace keelson::agent {
namespace {

kube::Pod pod(const std::string& sysctl) {
  kube::Pod made;
  made.spec.security_context.sysctls.push_back({.name = sysctl, .value = "1"});
  return made;
}

SysctlAllowlist allowing(const std::vector<std::string>& unsafe) {
  auto list = SysctlAllowlist::make(unsafe);
  EXPECT_TRUE(list) << list.error().message();
  return list ? *list : SysctlAllowlist();
}

std::string refusal(const kube::Pod& wanted, const std::vector<std::string>& unsafe = {}) {
  return allowing(unsafe).refusal(wanted).value_or("");
}

TEST(SysctlsTest, SafeOnesAreEverybodysOthersTheAdministrators) {
  EXPECT_EQ(refusal({}), "");
  EXPECT_EQ(refusal(pod("net.ipv4.tcp_syncookies")), "");
  EXPECT_EQ(refusal(pod("net/ipv4/tcp_syncookies")), "");
  EXPECT_EQ(refusal(pod("kernel.msgmax")), "forbidden sysctl: \"kernel.msgmax\" not allowlisted");
  EXPECT_EQ(refusal(pod("kernel.msgmax"), {"kernel.msg*"}), "");
  EXPECT_EQ(refusal(pod("kernel.sem"), {"kernel.msg*"}), "forbidden sysctl: \"kernel.sem\" not allowlisted");
  EXPECT_EQ(refusal(pod("net.core.somaxconn"), {"net.core.somaxconn"}), "");
  EXPECT_EQ(refusal(pod("net.core.somaxconn2"), {"net.core.somaxconn"}),
            "forbidden sysctl: \"net.core.somaxconn2\" not allowlisted");
  EXPECT_EQ(refusal(pod("net/ipv4/conf/eth0.100/forwarding"), {"net/ipv4/conf/*"}), "");
}

TEST(SysctlsTest, WhatIsTheHostsIsNotThePods) {
  auto wanted = pod("net.ipv4.tcp_syncookies");
  wanted.spec.host_network = true;
  EXPECT_EQ(refusal(wanted), "forbidden sysctl: \"net.ipv4.tcp_syncookies\" not allowed with host Net enabled");
  wanted = pod("fs.mqueue.msg_max");
  EXPECT_EQ(refusal(wanted, {"fs.mqueue.*"}), "");
  wanted.spec.host_ipc = true;
  EXPECT_EQ(refusal(wanted, {"fs.mqueue.*"}),
            "forbidden sysctl: \"fs.mqueue.msg_max\" not allowed with host IPC enabled");
}

TEST(SysctlsTest, WrongPatternsAreNamed) {
  for (const char* wrong : {"", "net..core", "net.*.core", "net.core.", "Net.core", "net.core-", "net.-core*"}) {
    auto list = SysctlAllowlist::make({wrong});
    ASSERT_FALSE(list) << wrong;
    EXPECT_EQ(list.error().message().find(std::string("'") + wrong + "' is no name of a sysctl"), 0U) << wrong;
  }
  for (const char* unknown : {"vm.swappiness", "*", "kernel.*"}) {
    EXPECT_EQ(SysctlAllowlist::make({unknown}).error().message(),
              std::string("'") + unknown + "' is not known to be of its own in a pod's namespaces");
  }
}

}  // namespace
}  // namespace keelson::agent
