// SPDX-License-Identifier: Apache-2.0
// Before each run of the measured program: the packet as it was, but of another flow or to another service.
// BPF_PROG_TEST_RUN does not restore a packet between its repeats.
// clang-format off
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
// clang-format on

#include "bench/xdp_template.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct bench_control);
} control SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, __u32);
} targets SEC(".maps");

static __always_inline int restore(struct xdp_md* ctx, __u32 target) {
  __u32 row = 0;
  struct bench_control* c = bpf_map_lookup_elem(&control, &row);
  unsigned char* data = (void*)(long)ctx->data;
  if (!c || data + PACKET > (unsigned char*)(long)ctx->data_end) {
    return XDP_ABORTED;
  }
  __builtin_memcpy(data, c->packet, PACKET);
  __u32 n = (__u32)c->count++;
  if (c->flows > 1) {
    __u32 flow = n % c->flows;
    *(__u16*)(data + 34) = (__u16)flow;
    *(__u32*)(data + 26) += flow >> 16 << 24; /* the source's last byte */
  }
  if (c->services > 1) {
    __u32 service = (__u32)(((__u64)(n * 2654435761u) * c->services) >> 32);
    *(__u32*)(data + 30) = __builtin_bswap32(0x0a600001 + service); /* 10.96.0.1 ... */
  }
  bpf_tail_call(ctx, &targets, target);
  return XDP_ABORTED;
}

SEC("xdp")
int measured(struct xdp_md* ctx) {
  return restore(ctx, 0);
}

SEC("xdp")
int baseline(struct xdp_md* ctx) {
  return restore(ctx, 1);
}

SEC("xdp")
int nothing(struct xdp_md* ctx) {
  return XDP_TX;
}

char _license[] SEC("license") = "GPL";
