// SPDX-License-Identifier: Apache-2.0
// The hooks of sockets: a program's name and where it belongs.
#pragma once

#include <linux/bpf.h>

namespace keelson::ebpf {

struct SocketHook {
  const char* name;
  bpf_attach_type type;
};

/// In the order in which they are to be attached. What shows the service comes before what translates: no process may
/// see a backend; and what takes rows away before what makes them.
inline constexpr SocketHook kSocketHooks[] = {
    {"sock_release", BPF_CGROUP_INET_SOCK_RELEASE}, {"getpeername4", BPF_CGROUP_INET4_GETPEERNAME},
    {"getpeername6", BPF_CGROUP_INET6_GETPEERNAME}, {"recvmsg4", BPF_CGROUP_UDP4_RECVMSG},
    {"recvmsg6", BPF_CGROUP_UDP6_RECVMSG},          {"connect4", BPF_CGROUP_INET4_CONNECT},
    {"connect6", BPF_CGROUP_INET6_CONNECT},         {"sendmsg4", BPF_CGROUP_UDP4_SENDMSG},
    {"sendmsg6", BPF_CGROUP_UDP6_SENDMSG}};

}  // namespace keelson::ebpf
