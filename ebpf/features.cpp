// SPDX-License-Identifier: Apache-2.0
#include "ebpf/features.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstddef>

#include "common/fd.h"

namespace keelson::ebpf {
namespace {

// Newer than the headers of Debian 12.
constexpr auto kTcxIngress = static_cast<bpf_attach_type>(46);
constexpr int kNoLink = 0x7fffffff;  // no interface has this index

bool has_helper(bpf_prog_type type, bpf_func_id helper) {
  return libbpf_probe_bpf_helper(type, helper, nullptr) == 1;
}

bool has_map_type(bpf_map_type type) {
  return libbpf_probe_bpf_map_type(type, nullptr) == 1;
}

// "return 1".
Fd load_trivial(bpf_prog_type type, bpf_attach_type attach) {
  const bpf_insn code[] = {{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 1}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = attach);
  return Fd(bpf_prog_load(type, "keelson_probe", "GPL", code, std::size(code), &options));
}

bool has_sock_addr(bpf_attach_type attach) {
  return bool(load_trivial(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, attach));
}

// A kernel that knows such links misses the interface; another one does not know what is meant.
bool has_tcx() {
  Fd program = load_trivial(BPF_PROG_TYPE_SCHED_CLS, {});
  return program && bpf_link_create(program.get(), kNoLink, kTcxIngress, nullptr) < 0 && errno == ENODEV;
}

Fd make_array(uint32_t flags) {
  LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = flags);
  return Fd(bpf_map_create(BPF_MAP_TYPE_ARRAY, "keelson_probe", sizeof(uint32_t), sizeof(uint64_t), 1, &options));
}

bool has_batches() {
  Fd map = make_array(0);
  uint32_t key = 0, next = 0, count = 1;
  uint64_t value = 0;
  return map &&
         (bpf_map_lookup_batch(map.get(), nullptr, &next, &key, &value, &count, nullptr) == 0 || errno == ENOENT);
}

}  // namespace

bool has_coarse_clock() {
  return has_helper(BPF_PROG_TYPE_SCHED_CLS, BPF_FUNC_ktime_get_coarse_ns);
}

bool has_set_retval() {
  return has_helper(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_set_retval);
}

bool has_sock_release() {
  return bool(load_trivial(BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_RELEASE));
}

std::vector<Feature> probe_features() {
  return {
      {"tcx", "6.6", "programs are on links by filters of clsact", false, has_tcx()},
      {"connect hooks of cgroups", "4.17", "sockets are translated at connect()", true,
       has_sock_addr(BPF_CGROUP_INET4_CONNECT)},
      {"recvmsg hooks of cgroups", "5.2", "who sends with sendmsg() sees the service's address", true,
       has_sock_addr(BPF_CGROUP_UDP4_RECVMSG)},
      {"getpeername hooks of cgroups", "5.8", "who is connected sees the service's address", true,
       has_sock_addr(BPF_CGROUP_INET4_GETPEERNAME)},
      {"bpf_get_netns_cookie", "5.7", "tells the node's own sockets from pods'", true,
       has_helper(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_get_netns_cookie)},
      {"bpf_fib_lookup", "4.18", "asks the node's routes", true,
       has_helper(BPF_PROG_TYPE_SCHED_CLS, BPF_FUNC_fib_lookup)},
      {"bpf_redirect_peer", "5.10", "hands packets into a pod", true,
       has_helper(BPF_PROG_TYPE_SCHED_CLS, BPF_FUNC_redirect_peer)},
      {"bpf_redirect_neigh", "5.10", "hands packets to a neighbour", true,
       has_helper(BPF_PROG_TYPE_SCHED_CLS, BPF_FUNC_redirect_neigh)},
      {"ring buffers", "5.8", "tells of drops and flows", true, has_map_type(BPF_MAP_TYPE_RINGBUF)},
      {"storage of sockets", "5.2", "remembers what a socket was connected to", true,
       has_map_type(BPF_MAP_TYPE_SK_STORAGE)},
      {"mapped arrays", "5.5", "an endpoint changes by a store", true, bool(make_array(BPF_F_MMAPABLE))},
      {"batches", "5.6", "many rows are read and written at once", true, has_batches()},
      {"bpf_ktime_get_coarse_ns", "5.11", "the exact clock is read, which costs ten times as much", false,
       has_coarse_clock()},
      {"bpf_set_retval at sockets", "5.18",
       "connect() to a service without endpoints is refused when its first packet leaves", false, has_set_retval()},
      {"release hooks of cgroups", "5.9",
       "what a socket was connected to is kept with it, which costs ten times as much", false, has_sock_release()},
  };
}

std::string missing_features(const std::vector<Feature>& features) {
  std::string text;
  for (const auto& feature : features) {
    if (feature.needed && !feature.present) {
      text += fmt::format("{}{} (Linux {})", text.empty() ? "" : ", ", feature.name, feature.since);
    }
  }
  return text;
}

}  // namespace keelson::ebpf
