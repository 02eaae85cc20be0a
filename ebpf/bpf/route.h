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

/* The way in a row of next_hops, if it still has that name. */
KL_INLINE int way_of(__u32 id, struct kl_way* way) {
  __u32 nth = id & (KL_NEXT_HOPS - 1);
  struct kl_next_hop* hop = bpf_map_lookup_elem(&next_hops, &nth);
  if (!hop || !id) {
    return 0;
  }
  if (!loads_in_order) {
    bpf_spin_lock(&hop->lock);
  }
  __u32 before = KL_READ_ONCE(hop->id);
  KL_BARRIER();
  *way = hop->way;
  KL_BARRIER();
  __u32 after = KL_READ_ONCE(hop->id);
  if (!loads_in_order) {
    bpf_spin_unlock(&hop->lock);
  }
  return before == id && after == id;
}

KL_INLINE int same_way(const struct kl_way* a, const struct kl_way* b) {
  const __u32 *x = (const void*)a, *y = (const void*)b;
  return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3] && x[4] == y[4];
}

#define KL_NEXT_HOP_TRIES 4

/* The id of this way. If it has none it takes the place of one that was not asked for longer than its neighbours. */
__noinline __u32 next_hop_of(const struct kl_way* way, __u32 now) {
  if (!way) {
    return 0;
  }
  __u32 mac = *(const __u32*)(way->dmac + 2), first = (way->oif ^ mac) * 0x9e3779b1u >> 20, place = 0, longest = 0;
  for (__u32 i = 0; i < KL_NEXT_HOP_TRIES; i++) {
    __u32 nth = (first + i) & (KL_NEXT_HOPS - 1);
    struct kl_next_hop* hop = bpf_map_lookup_elem(&next_hops, &nth);
    if (!hop) {
      return 0;
    }
    struct kl_way there;
    __u32 id = KL_READ_ONCE(hop->id);
    if (way_of(id, &there) && same_way(&there, way)) {
      hop->asked = now;
      return id;
    }
    __s32 idle = now - hop->asked;
    __u32 age = !id ? ~0u : idle > 0 ? idle + 1 : 1;
    if (age > longest) {
      longest = age;
      place = nth;
    }
  }
  struct kl_next_hop* hop = bpf_map_lookup_elem(&next_hops, &place);
  if (!hop) {
    return 0;
  }
  bpf_spin_lock(&hop->lock);
  __u32 id = hop->id + KL_NEXT_HOPS;
  id = id < KL_NEXT_HOPS ? KL_NEXT_HOPS | place : id | place;
  KL_WRITE_ONCE(hop->id, 0);
  KL_BARRIER();
  hop->way = *way;
  hop->asked = now;
  KL_BARRIER();
  KL_WRITE_ONCE(hop->id, id);
  bpf_spin_unlock(&hop->lock);
  return id;
}

/* Writes the way into a row, for ROUTE_KNOWN and ROUTE_NODE; other ways are asked for again with each packet. */
KL_INLINE void route_keep(enum route_kind kind, const struct bpf_fib_lookup* fib, __u32 now, struct row* row) {
  row->rest.routed = (__u16)(now >> 8);
  row->rest.next_hop = 0;
  row->flags &= ~KL_CT_NODE;
  if (kind == ROUTE_NODE) {
    row->flags |= KL_CT_NODE;
  }
  if (kind != ROUTE_KNOWN) {
    return;
  }
  row->way.oif = fib->ifindex;
  row->way.mtu = fib->mtu_result;
  __builtin_memcpy(row->way.dmac, fib->dmac, 6);
  __builtin_memcpy(row->way.smac, fib->smac, 6);
  __u32 oif = fib->ifindex;
  const __u32* link = bpf_map_lookup_elem(&links, &oif);
  row->way.flags = link && *link == KL_LINK_POD ? KL_WAY_PEER : 0;
  row->rest.next_hop = next_hop_of(&row->way, now);
}

/* The latest answers of this CPU. Clients come again, to the same endpoints: asking costs a sixth of a new flow. */
#define KL_ROUTES 256
struct kept_route {
  struct kl_addr src, dst;
  __u32 in, protocol;
  __u32 next_hop; /* 0: none is kept here */
  __u32 asked;    /* kl_time */
  struct kl_way way;
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
  if (!kept->next_hop || kept->in != in || kept->protocol != flow->protocol || !kl_same_addr(&kept->dst, &flow->dst) ||
      !kl_same_addr(&kept->src, &flow->src) || now - kept->asked > KL_ONE_SECOND) {
    return 0;
  }
  row->flags &= ~KL_CT_NODE;
  row->rest.next_hop = kept->next_hop;
  row->rest.routed = (__u16)(kept->asked >> 8);
  row->way = kept->way;
  return 1;
}

KL_INLINE void keep_route(struct kept_route* kept, const struct kl_flow* flow, __u32 in, __u32 now,
                          const struct row* row) {
  kept->src = flow->src;
  kept->dst = flow->dst;
  kept->in = in;
  kept->protocol = flow->protocol;
  kept->next_hop = row->rest.next_hop;
  kept->asked = now;
  kept->way = row->way;
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

/* 1 if the row's way need not be asked for: it is in row->way. */
KL_INLINE int route_is_fresh(struct row* row, __u32 now) {
  if ((__u16)((__u16)(now >> 8) - row->rest.routed) > KL_ONE_SECOND >> 8) {
    return 0;
  }
  if (row->flags & KL_CT_NODE) {
    row->way.oif = 0;
    return 1;
  }
  return way_of(row->rest.next_hop, &row->way);
}

#endif
