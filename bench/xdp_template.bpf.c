// SPDX-License-Identifier: Apache-2.0
// Before each run of the measured program: the packet as it was, but of another flow or to another service.
// BPF_PROG_TEST_RUN does not restore a packet between its repeats. And, where that is measured, the flow's rows are
// taken out of the connection table: every packet begins a flow, always the same one.
// clang-format off
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
// clang-format on

#include "bench/xdp_template.h"

#include "ebpf/bpf/abi.h"

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

/* Of the programs that are measured; set before this is loaded. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct kl_ct4_bucket);
} connections SEC(".maps");

static __always_inline void forget(__u32 index) {
  struct kl_ct4_bucket* bucket = bpf_map_lookup_elem(&connections, &index);
  if (bucket) {
    for (int way = 0; way < KL_CT_WAYS; way++) {
      *(volatile __u16*)&bucket->tag[way] = 0;
    }
  }
}

static __always_inline int restore(struct xdp_md* ctx, __u32 target) {
  __u32 row = 0;
  struct bench_control* c = bpf_map_lookup_elem(&control, &row);
  if (!c) {
    return XDP_ABORTED;
  }
  if (c->wrapped) {
    /* What the run before put in front. The baseline pays for the call, too. */
    int longer = (int)(ctx->data_end - ctx->data) - (c->v6 ? PACKET6 : PACKET4);
    bpf_xdp_adjust_head(ctx, longer);
  }
  unsigned char* data = (void*)(long)ctx->data;
  if (data + PACKET4 > (unsigned char*)(long)ctx->data_end) {
    return XDP_ABORTED;
  }
  __builtin_memcpy(data, c->packet, PACKET4);
  if (c->v6) {
    if (data + PACKET6 > (unsigned char*)(long)ctx->data_end) {
      return XDP_ABORTED;
    }
    __builtin_memcpy(data + PACKET4, c->packet + PACKET4, PACKET6 - PACKET4);
  }
  if (c->forget) {
    forget(c->buckets[0]);
    forget(c->buckets[1]);
  }
  __u32 n = (__u32)c->count++;
  if (c->flows > 1) {
    __u32 flow = n % c->flows;
    /* The source's port, and its last byte. */
    if (c->v6) {
      *(__u16*)(data + 54) = (__u16)flow;
      *(__u32*)(data + 34) += flow >> 16 << 24;
    } else {
      *(__u16*)(data + 34) = (__u16)flow;
      *(__u32*)(data + 26) += flow >> 16 << 24;
    }
  }
  if (c->services > 1) {
    __u32 service = (__u32)(((__u64)(n * 2654435761u) * c->services) >> 32);
    __be32* to = (__be32*)(data + (c->v6 ? 50 : 30));
    *to = __builtin_bswap32(__builtin_bswap32(*to) + service);
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
