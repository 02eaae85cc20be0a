// SPDX-License-Identifier: Apache-2.0
// No sandbox changes the node's kernel parameters.
#include "cri/runtime/sysctls.h"

#include <gmock/gmock.h>

#include "common/sysctl_name.h"

namespace keelson::cri {
namespace {

namespace v1 = ::runtime::v1;

v1::PodSandboxConfig with(const std::string& name) {
  v1::PodSandboxConfig config;
  config.set_hostname("web");
  (*config.mutable_linux()->mutable_sysctls())[name] = "1";
  return config;
}

v1::NamespaceOption& namespaces(v1::PodSandboxConfig& config) {
  return *config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
}

TEST(Sysctls, WhatASandboxHasOfItsOwnIsAllowed) {
  for (const char* name :
       {"kernel.shm_rmid_forced", "kernel.sem", "kernel.shmmax", "kernel.shmall", "kernel.shmmni", "kernel.msgmax",
        "kernel.msgmnb", "kernel.msgmni", "fs.mqueue.msg_max", "net.core.somaxconn",
        "net/ipv4/conf/eth0.100/forwarding", "net.ipv4.conf.eth0/100.forwarding", "kernel.domainname"}) {
    const auto checked = check_sysctls(with(name));
    EXPECT_TRUE(checked) << checked.error().message();
  }
}

TEST(Sysctls, WhatIsTheNodesIsRefused) {
  for (const char* name : {"kernel.core_pattern", "kernel/core_pattern", "vm.overcommit_memory", "kernel.panic",
                           "fs.file-max", "kernel.hostname", "kernel.shmmax_of_all", "net.//.kernel.core_pattern",
                           "net/../kernel/core_pattern", "net", "fs.mqueue", "", "."}) {
    const auto checked = check_sysctls(with(name));
    ASSERT_FALSE(checked) << name;
    EXPECT_EQ(checked.error().kind(), Kind::invalid);
    EXPECT_THAT(checked.error().message(), testing::StartsWith(std::string("config.linux.sysctls: ") + name + ": "));
  }
}

TEST(Sysctls, WhatIsSharedWithTheNodeIsRefused) {
  auto ipc = with("kernel.sem");
  namespaces(ipc).set_ipc(v1::NODE);
  EXPECT_THAT(check_sysctls(ipc).error().message(), testing::HasSubstr("the node's IPC namespace"));
  auto network = with("net.ipv4.ip_forward");
  namespaces(network).set_network(v1::NODE);
  EXPECT_THAT(check_sysctls(network).error().message(), testing::HasSubstr("the node's network namespace"));
  auto name = with("kernel.domainname");
  namespaces(name).set_network(v1::NODE);
  EXPECT_TRUE(check_sysctls(name)) << "a host name makes a UTS namespace";
  name.clear_hostname();
  EXPECT_FALSE(check_sysctls(name));
}

TEST(Sysctls, BothSpellingsAreOneFile) {
  for (const char* name : {"net/ipv4/conf/eth0.100/forwarding", "net.ipv4.conf.eth0/100.forwarding"}) {
    EXPECT_EQ(sysctl_path(name), "/proc/sys/net/ipv4/conf/eth0.100/forwarding");
  }
  EXPECT_EQ(sysctl_path("net.//.kernel.core_pattern"), std::nullopt);
}

}  // namespace
}  // namespace keelson::cri
