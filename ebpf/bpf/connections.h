/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The connection table: which flows are known, and what is done with their packets.
 *
 * Why not BPF_MAP_TYPE_LRU_HASH: it takes 30 ns to find and 140 to insert, and a flow has two rows. A bucket of five
 * rows in an array, written under one spin lock and read without it, takes less, and what a packet of IPv4 has to know
 * is mostly in one cache line. A row is in the first or second bucket of its flow. Where both are full one is moved to
 * its own second bucket, so that a table can be nearly full, or else the oldest goes: there is nothing to collect.
 */
#ifndef KEELSON_EBPF_CONNECTIONS_H
#define KEELSON_EBPF_CONNECTIONS_H

#include "ebpf/bpf/maps.h"

/* A row as programs handle it, of either family. */
struct row {
  struct kl_addr to_src, to_dst;
  __be16 to_sport, to_dport;
  __u8 state;
  __u8 aged; /* it has just been marked as seen: its twin is to be, too */
  __u16 flags;
  struct kl_ct_rest rest;
  struct kl_way way; /* that rest.next_hop means, once it was looked up */
};

KL_INLINE __u32 time_to_live(const struct kl_config* settings, __u8 protocol, __u8 state) {
  return settings->timeout[protocol == IPPROTO_TCP][state & 3];
}

struct place {
  __u32 bucket;
  __u32 other;
  __u16 tag;
};

/* Of a row with this tag in this bucket, its other one. */
KL_INLINE __u32 other_bucket(__u32 bucket, __u16 tag, int v6) {
  return (bucket ^ (tag * 0x9e3779b1u)) & (v6 ? connections6_mask : connections4_mask);
}

KL_INLINE struct place place_of(const struct kl_flow* flow, int v6) {
  struct kl_hash hash = kl_flow_hash(flow, hash_seed, v6);
  __u32 mask = v6 ? connections6_mask : connections4_mask;
  __u16 tag = (__u16)(hash.second >> 16);
  if (tag == 0) {
    tag = 1;
  }
  struct place place = {hash.first & mask, other_bucket(hash.first, tag, v6), tag};
  return place;
}

KL_INLINE __u16 changes_after(__u16 changes) {
  const __u16 marks = KL_CT_SPILLED | KL_CT_MOVING;
  return (changes & marks) | ((changes + 1) & ~marks);
}

enum { CT_STORED, CT_FULL /* of live rows */, CT_TAKEN /* by a live row of the same flow that says something else */ };
enum {
  CT_IF_FREE = 1,      /* not over a live row of the same flow that means something else; */
  CT_UNUSED = 2,       /* with CT_IF_FREE: nor over one that has just ended */
  CT_EVICT_CLOSED = 4, /* over rows of connections that are not open */
  CT_EVICT = 8
};

enum { CT_NO_ROOM, CT_ROOM_IN_FIRST, CT_ROOM_IN_SECOND };

/* A flow that has lost a row, as that row knew it. */
struct gone {
  struct kl_flow flow, twin;
  __u32 whole; /* the other row is to go, too */
};

/* More than the stack has room for. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct gone);
} gone_of_cpu KL_MAP;

/* A row on its way from its first bucket to its second. */
struct moved_row {
  struct kl_flow flow;
  struct row row;
  __u16 tag;
  __u16 in_vain; /* how often there was no room lately, as so many bits */
  __u16 skip;    /* how often it is not tried from here on */
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct moved_row);
} moved_of_cpu KL_MAP;

#define CT_V6 0
#include "ebpf/bpf/connections_of_family.h"
#undef CT_V6
#define CT_V6 1
#include "ebpf/bpf/connections_of_family.h"
#undef CT_V6

/* 1 and the row, if the flow is known. It counts as seen now; `state`: what this packet makes of it, if that is later
 * than what it was. */
KL_INLINE int connection_find(const struct kl_flow* flow, __u8 state, __u32 now, int v6, struct row* row) {
  return v6 ? find6(flow, state, now, row) : find4(flow, state, now, row);
}

/* Stores the row; `how`: 0, CT_IF_FREE, CT_IF_FREE | CT_UNUSED. 0: it was not free, else 1. */
KL_INLINE int connection_store(const struct kl_flow* flow, const struct row* row, __u32 how, __u32 now, int v6) {
  return v6 ? store6(flow, row, how, now) : store4(flow, row, how, now);
}

#endif
