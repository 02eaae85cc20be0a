/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The maps of all programs; their rows are in abi.h. Sizes are those of the loader, which sets them before it loads. */
#ifndef KEELSON_EBPF_MAPS_H
#define KEELSON_EBPF_MAPS_H

#include "ebpf/bpf/abi.h"
#include "ebpf/bpf/helpers.h"

#define KL_MAP SEC(".maps")

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 65536);
  __type(key, struct kl_frontend_key);
  __type(value, struct kl_frontend);
} frontends KL_MAP;

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct kl_service);
} services KL_MAP;

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} slots KL_MAP;

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct kl_backend);
} backends KL_MAP;

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct kl_config);
} config KL_MAP;

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 16384);
  __type(key, struct kl_range_key);
  __type(value, __u32);
} source_ranges KL_MAP;

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 16384);
  __type(key, struct kl_affinity_key);
  __type(value, struct kl_affinity);
} affinity KL_MAP;

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE); /* for its rows begin with a page, so buckets with a cache line */
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct kl_ct4_bucket);
} connections4 KL_MAP;

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE); /* for its rows begin with a page, so buckets with a cache line */
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct kl_ct6_bucket);
} connections6 KL_MAP;

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, KL_NEXT_HOPS);
  __type(key, __u32);
  __type(value, struct kl_next_hop);
} next_hops KL_MAP;

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 4096);
  __type(key, struct kl_fragment_key);
  __type(value, struct kl_fragment);
} fragments KL_MAP;

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 4096);
  __type(key, __u32);
  __type(value, __u32);
} links KL_MAP;

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 16384);
  __type(key, struct kl_addr);
  __type(value, __u32);
} nodes KL_MAP;

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 4096);
  __type(key, __u64);
  __type(value, __u32);
} left_netns KL_MAP;

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, KL_COUNTERS);
  __type(key, __u32);
  __type(value, __u64);
} counters KL_MAP;

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, KL_EVENTS_BYTES);
} events KL_MAP;

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct kl_event_rate);
} event_rates KL_MAP;

struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct kl_socket);
} sockets KL_MAP;

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 65536);
  __type(key, __u64);
  __type(value, struct kl_socket);
} connected KL_MAP;

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 16384);
  __type(key, struct kl_peer_key);
  __type(value, struct kl_peer);
} peers KL_MAP;

/* Set once by the loader; the verifier removes what they rule out. */
const volatile __u32 hash_seed = 0;
const volatile __u32 connections4_mask = 0; /* buckets - 1: a power of two */
const volatile __u32 connections6_mask = 0;
/* The machine's loads come one after the other, so rows may be read without their lock. */
const volatile __u8 loads_in_order = 0;
const volatile __u8 have_coarse_clock = 1; /* bpf_ktime_get_coarse_ns: Linux 5.11 */
const volatile __u8 have_set_retval = 1;   /* bpf_set_retval in sock_addr programs: Linux 5.18 */
const volatile __u8 have_sock_release = 1; /* programs that run when a socket is closed: Linux 5.9 */

static const __u32 zero_row = 0;

KL_INLINE void count(__u32 what) {
  __u64* counter = bpf_map_lookup_elem(&counters, &what);
  if (counter) {
    *counter += 1;
  }
}

/* kl_time: reading the coarse clock costs a tenth of reading the exact one. */
KL_INLINE __u32 time_now(void) {
  __u64 ns = have_coarse_clock ? bpf_ktime_get_coarse_ns() : bpf_ktime_get_ns();
  return (__u32)(ns >> KL_TIME_SHIFT);
}
#define KL_ONE_SECOND (1000000000u >> KL_TIME_SHIFT)
#define KL_LONG_AGO (1u << 30) /* longer than any row lives, and not yet the future */

#endif
