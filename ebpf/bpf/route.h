/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Which way a translated packet leaves: the kernel's own routes and neighbours, asked once a second for each flow. */
#ifndef KEELSON_EBPF_ROUTE_H
#define KEELSON_EBPF_ROUTE_H

#include "ebpf/bpf/maps.h"

#define KL_AF_INET 2
#define KL_AF_INET6 10

enum route_kind {
  ROUTE_KNOWN,        /* oif, dmac, smac, mtu */
  ROUTE_NO_NEIGHBOUR, /* oif and next_hop: the MAC address has to be asked for */
  ROUTE_NODE,         /* to this node itself */
  ROUTE_STACK         /* whatever the stack makes of it: no route, prohibited, a tunnel */
};

/* From `in` to `flow`'s destination. `length`: of the IP packet where there is no skb to ask, else 0. */
KL_INLINE enum route_kind route_lookup(void* ctx, const struct kl_flow* flow, __u32 in, __u16 length, int v6,
                                       struct bpf_fib_lookup* fib) {
  __builtin_memset(fib, 0, sizeof *fib);
  fib->family = v6 ? KL_AF_INET6 : KL_AF_INET;
  fib->l4_protocol = flow->protocol;
  fib->ifindex = in;
  fib->tot_len = length;
  if (v6) {
    __builtin_memcpy(fib->ipv6_src, &flow->src, 16);
    __builtin_memcpy(fib->ipv6_dst, &flow->dst, 16);
  } else {
    fib->ipv4_src = flow->src.word[3];
    fib->ipv4_dst = flow->dst.word[3];
  }
  long result = bpf_fib_lookup(ctx, fib, sizeof *fib, 0);
  if (result == BPF_FIB_LKUP_RET_SUCCESS || result == BPF_FIB_LKUP_RET_FRAG_NEEDED) {
    return ROUTE_KNOWN;
  }
  if (result == BPF_FIB_LKUP_RET_NO_NEIGH) {
    return ROUTE_NO_NEIGHBOUR;
  }
  return result == BPF_FIB_LKUP_RET_NOT_FWDED ? ROUTE_NODE : ROUTE_STACK;
}

/* Writes the way into a row, for ROUTE_KNOWN and ROUTE_NODE; other ways are asked for again with each packet. */
KL_INLINE void route_keep(enum route_kind kind, const struct bpf_fib_lookup* fib, __u32 now, struct row* row) {
  row->rest.routed = (__u16)(now >> 8);
  row->flags &= ~(KL_CT_PEER | KL_CT_NODE);
  row->rest.oif = 0;
  if (kind == ROUTE_NODE) {
    row->flags |= KL_CT_NODE;
  }
  if (kind != ROUTE_KNOWN) {
    return;
  }
  row->rest.oif = fib->ifindex;
  row->rest.mtu = fib->mtu_result;
  __builtin_memcpy(row->rest.dmac, fib->dmac, 6);
  __builtin_memcpy(row->rest.smac, fib->smac, 6);
  __u32 oif = fib->ifindex;
  const __u32* link = bpf_map_lookup_elem(&links, &oif);
  if (link && *link == KL_LINK_POD) {
    row->flags |= KL_CT_PEER;
  }
}

/* The latest answers of this CPU. Clients come again, to the same endpoints: asking costs a sixth of a new flow. */
#define KL_ROUTES 256
struct kept_route {
  struct kl_addr src, dst;
  __u32 in, protocol;
  __u32 oif; /* 0: none is kept here */
  __u32 peer;
  __u32 asked; /* kl_time */
  __u8 dmac[6], smac[6];
  __u16 mtu, routed;
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, KL_ROUTES);
  __type(key, __u32);
  __type(value, struct kept_route);
} routes KL_MAP;

KL_INLINE struct kept_route* kept_route_of(const struct kl_flow* flow) {
  __u32 place = (flow->src.word[3] ^ flow->dst.word[3] * 0x9e3779b1u) * 0x85ebca6bu >> 24;
  return bpf_map_lookup_elem(&routes, &place);
}

KL_INLINE int route_kept(const struct kept_route* kept, const struct kl_flow* flow, __u32 in, __u32 now,
                         struct row* row) {
  if (!kept->oif || kept->in != in || kept->protocol != flow->protocol || !kl_same_addr(&kept->dst, &flow->dst) ||
      !kl_same_addr(&kept->src, &flow->src) || now - kept->asked > KL_ONE_SECOND) {
    return 0;
  }
  row->flags = (row->flags & ~(KL_CT_PEER | KL_CT_NODE)) | (kept->peer ? KL_CT_PEER : 0);
  row->rest.oif = kept->oif;
  row->rest.mtu = kept->mtu;
  row->rest.routed = kept->routed;
  __builtin_memcpy(row->rest.dmac, kept->dmac, 6);
  __builtin_memcpy(row->rest.smac, kept->smac, 6);
  return 1;
}

KL_INLINE void keep_route(struct kept_route* kept, const struct kl_flow* flow, __u32 in, __u32 now,
                          const struct row* row) {
  kept->src = flow->src;
  kept->dst = flow->dst;
  kept->in = in;
  kept->protocol = flow->protocol;
  kept->oif = row->rest.oif;
  kept->asked = now;
  kept->peer = row->flags & KL_CT_PEER;
  kept->mtu = row->rest.mtu;
  kept->routed = row->rest.routed;
  __builtin_memcpy(kept->dmac, row->rest.dmac, 6);
  __builtin_memcpy(kept->smac, row->rest.smac, 6);
}

/* Finds the way and writes it into the row, unless it is one to be asked for with each packet. `fib` is the answer for
 * ROUTE_NO_NEIGHBOUR. */
KL_INLINE enum route_kind route_find(void* ctx, const struct kl_flow* flow, __u32 in, __u16 length, __u32 now, int v6,
                                     struct bpf_fib_lookup* fib, struct row* row) {
  struct kept_route* kept = kept_route_of(flow);
  if (kept && route_kept(kept, flow, in, now, row)) {
    return ROUTE_KNOWN;
  }
  enum route_kind way = route_lookup(ctx, flow, in, length, v6, fib);
  if (way == ROUTE_KNOWN || way == ROUTE_NODE) {
    route_keep(way, fib, now, row);
  }
  if (way == ROUTE_KNOWN && kept) {
    keep_route(kept, flow, in, now, row);
  }
  return way;
}

/* Between whom the packets of a row travel. */
KL_INLINE void route_ends(const struct row* row, int v6, struct kl_flow* onward) {
  onward->src = row->to_src;
  onward->dst = row->to_dst;
  if (row->flags & KL_CT_TUNNEL) {
    const struct kl_config* settings = bpf_map_lookup_elem(&config, &zero_row);
    if (settings) {
      onward->src = settings->masquerade[v6];
    }
    onward->dst = row->to_src;
  }
}

KL_INLINE int route_is_fresh(const struct row* row, __u32 now) {
  return (row->rest.oif || (row->flags & KL_CT_NODE)) &&
         (__u16)((__u16)(now >> 8) - row->rest.routed) <= KL_ONE_SECOND >> 8;
}

#endif
