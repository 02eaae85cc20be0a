// SPDX-License-Identifier: Apache-2.0
#include "ebpf/tc_filters.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>

#include "common/netlink.h"

namespace keelson::ebpf {
namespace {

constexpr uint32_t kHandle = 0x6b6c;  // "kl"
constexpr uint32_t kPriority = 1;

bpf_tc_hook hook_of(int ifindex, bpf_tc_attach_point side) {
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = side);
  return hook;
}

bpf_tc_attach_point side_of(TcSide side) {
  return side == TcSide::ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS;
}

bool is_gone(int error) {
  return error == ENOENT || error == ENODEV || error == EINVAL;  // EINVAL: there is no qdisc
}

}  // namespace

Result<> set_filter(int ifindex, TcSide side, int program) {
  auto both = hook_of(ifindex, static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS));
  if (int error = bpf_tc_hook_create(&both); error != 0 && error != -EEXIST) {
    return fail_errno(-error, "make the qdisc clsact of link {}", ifindex);
  }
  auto hook = hook_of(ifindex, side_of(side));
  LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = program, .flags = BPF_TC_F_REPLACE, .handle = kHandle,
              .priority = kPriority);
  if (int error = bpf_tc_attach(&hook, &options); error != 0) {
    return fail_errno(-error, "put a filter on link {}", ifindex);
  }
  return {};
}

uint32_t filter_program(int ifindex, TcSide side) {
  auto hook = hook_of(ifindex, side_of(side));
  LIBBPF_OPTS(bpf_tc_opts, options, .handle = kHandle, .priority = kPriority);
  return bpf_tc_query(&hook, &options) == 0 ? options.prog_id : 0;
}

Result<> remove_filter(int ifindex, TcSide side) {
  auto hook = hook_of(ifindex, side_of(side));
  LIBBPF_OPTS(bpf_tc_opts, options, .handle = kHandle, .priority = kPriority);
  if (int error = bpf_tc_detach(&hook, &options); error != 0) {
    return is_gone(-error) ? Result<>() : fail_errno(-error, "take the filter of link {} away", ifindex);
  }
  KEELSON_TRY(auto netlink, Netlink::open());
  KEELSON_TRY(bool others, netlink.has_filters(Ifindex{ifindex}));
  if (others) {
    return {};
  }
  auto both = hook_of(ifindex, static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS));
  if (int error = bpf_tc_hook_destroy(&both); error != 0 && !is_gone(-error)) {
    return fail_errno(-error, "take the qdisc clsact of link {} away", ifindex);
  }
  return {};
}

}  // namespace keelson::ebpf
