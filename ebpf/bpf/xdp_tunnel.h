/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Wraps packets for the node of their endpoint, at XDP. */
#ifndef KEELSON_EBPF_XDP_TUNNEL_H
#define KEELSON_EBPF_XDP_TUNNEL_H

#include "ebpf/bpf/flows.h"

/* The IP header inside, one hop further. 0: it is not where it should be. */
KL_INLINE int xdp_next_hop(void* at, void* end, int v6) {
  if (v6) {
    struct ipv6hdr* ip = at;
    if ((void*)(ip + 1) > end) {
      return 0;
    }
    ip->hop_limit--;
    return 1;
  }
  struct iphdr* ip = at;
  if ((void*)(ip + 1) > end) {
    return 0;
  }
  __be16 before = *(__be16*)&ip->ttl;
  ip->ttl--;
  ip->check = kl_checksum_update(ip->check, kl_sum_replace(0, before, *(__be16*)&ip->ttl));
  return 1;
}

/* Of its own: it is not on the way of most packets. */
KL_INLINE int xdp_wrap(struct xdp_md* ctx, const struct kl_packet* packet, const struct row* row, int v6) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_of_cpu, &zero_row);
  if (!scratch || !tunnel_of(packet, row, v6, &scratch->tunnel)) {
    return XDP_PASS;
  }
  /* Headers between would have to be summed up; tc sends such packets without that sum. */
  if (v6 && packet->l4 != ETH_HLEN + sizeof(struct ipv6hdr)) {
    return XDP_PASS;
  }
  if (bpf_xdp_adjust_head(ctx, -(int)KL_OUTER(v6))) {
    return XDP_PASS;
  }
  void *data = (void*)(long)ctx->data, *end = (void*)(long)ctx->data_end;
  struct ethhdr* eth = data;
  void *outer = eth + 1, *inside = outer + KL_OUTER(v6);
  if (inside > end || !xdp_next_hop(inside, end, v6)) {
    return XDP_DROP; /* cannot be: it has been parsed */
  }
  eth->h_proto = v6 ? __builtin_bswap16(ETH_P_IPV6) : __builtin_bswap16(ETH_P_IP);
  __builtin_memcpy(eth->h_dest, row->way.dmac, 6);
  __builtin_memcpy(eth->h_source, row->way.smac, 6);
  if (v6) {
    if (inside + sizeof(struct ipv6hdr) > end) {
      return XDP_DROP;
    }
    kl_fill_outer6(outer, &scratch->tunnel, has_sum(inside, end) ? inside : NULL);
  } else {
    kl_fill_outer4(outer, &scratch->tunnel);
  }
  count(KL_WRAPPED);
  return XDP_TX;
}

#endif
