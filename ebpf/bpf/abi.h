/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What the BPF programs and the daemon agree on: the rows of every pinned map. C, included by both sides.
 *
 * Other versions read these rows, and copy them field by field by their names (LAYOUT.md, beside this folder). So a
 * field may move, grow, come and go; one that gets another meaning gets another name, or KEELSON_LAYOUT is raised and
 * the copying taught. Never changed at all: kl_socket, kl_peer_key, kl_peer and the links. All fields are in host order
 * unless named otherwise; addresses and ports are as they stand in a packet. IPv4 addresses are ::ffff:a.b.c.d.
 *
 * A packet costs: one look-up in the connection table when its flow is known; for a new flow a frontend, its service, a
 * slot and a backend beside it, and two rows put into the connection table. The arrays (services, slots, backends,
 * config) are mapped into the daemon's memory: a change there is a store, no system call.
 */
#ifndef KEELSON_EBPF_ABI_H
#define KEELSON_EBPF_ABI_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <stddef.h>

#include "dataplane/packet/flow.h"
#include "ebpf/bpf/counters.h"

#define KEELSON_LAYOUT 2

/* -- frontends: HASH, kl_frontend_key -> kl_frontend ------------------------------------------------------------- */
struct kl_frontend_key {
  struct kl_addr address;
  __be16 port;
  __u8 protocol; /* 6, 17, 132 */
  __u8 zero;
};

/* Who sends; the hook knows. */
enum kl_from { KL_FROM_POD, KL_FROM_NODE, KL_FROM_OUTSIDE, KL_FROM_COUNT };

/* What a new flow gets; kl_frontend.use[from] is one of these, or'ed with KL_USE_MASQUERADE. */
enum kl_verdict { KL_CLUSTER, KL_LOCAL, KL_REJECT, KL_DROP };
#define KL_USE_VERDICT 0x0f
#define KL_USE_MASQUERADE 0x10

enum kl_frontend_flags {
  KL_FRONTEND_SOURCE_RANGES = 1, /* look the source up in source_ranges */
  KL_FRONTEND_NO_SOCKET = 2,     /* not translated at connect(): the packet hooks decide */
  KL_FRONTEND_NODE_ADDRESS = 4   /* one of this node's: what it sends there itself passes no packet hook */
};

struct kl_frontend {
  __u32 service; /* row of services */
  __u32 ranges;  /* id in source_ranges; 0: none */
  __u8 use[KL_FROM_COUNT];
  __u8 flags;
  __u32 zero;
};

/* -- services: ARRAY, mapped ------------------------------------------------------------------------------------- */
/* A pool of slots in one word, so that it changes in one store: the first slot, and how many. */
#define KL_POOL(base, count) ((__u64)(base) << 32 | (__u32)(count))
#define KL_POOL_BASE(pool) ((__u32)((pool) >> 32))
#define KL_POOL_COUNT(pool) ((__u32)(pool))

enum kl_service_flags { KL_SERVICE_MAGLEV = 1, KL_SERVICE_DSR = 2 };

struct kl_service {
  __u64 pool[2];          /* by KL_CLUSTER, KL_LOCAL; count 0: nobody */
  __u32 affinity_seconds; /* 0: none */
  __u32 flags;
  /* Counted by the programs; not exact, two CPUs may lose one. Of row 0, which is no service: how often frontends were
   * put in, by the daemon, so that programs know what they have seen from what is there. */
  __u64 new_flows;
};

/* -- slots: ARRAY of __u32, mapped: which backend ---------------------------------------------------------------- */
/* A backend's name is its row and the row's generation at the time, so that a flow knows when the row has been given
 * to another. */
#define KL_BACKEND_ROW_BITS 24
#define KL_BACKEND_ROW(name) ((name) & ((1u << KL_BACKEND_ROW_BITS) - 1))
#define KL_BACKEND_NAME(row, generation) ((__u32)(row) | (__u32)(generation) << KL_BACKEND_ROW_BITS)

/* -- backends: ARRAY, mapped; row 0 is nobody -------------------------------------------------------------------- */
enum kl_backend_flags {
  KL_BACKEND_SERVING = 1, /* takes flows; without it UDP flows leave at once, TCP flows may end in peace */
  KL_BACKEND_ON_NODE = 2, /* runs on this node */
  /* The pools of its service that it is in: without one it takes no new flow, though it may serve. */
  KL_BACKEND_IN_CLUSTER = 4,
  KL_BACKEND_IN_LOCAL = 8
};

struct kl_backend {
  struct kl_addr address;
  __be16 port;
  __u16 flags;
  __u32 name;          /* KL_BACKEND_NAME of this row; 0: free. Written last when taken, first when freed */
  __u32 service;       /* row of services it belongs to */
  __u32 generation;    /* of its latest name; stays when the row is freed */
  struct kl_addr node; /* it runs on; zero: not known */
};

/* -- affinity: LRU_HASH ------------------------------------------------------------------------------------------- */
struct kl_affinity_key {
  struct kl_addr client; /* at connect(), where the source is not known yet: the cookie of its network namespace */
  __u32 service;
  __u32 zero;
};

struct kl_affinity {
  __u32 backend; /* its name */
  __u32 seen;    /* kl_time of the last new flow */
};

/* -- source_ranges: LPM_TRIE -------------------------------------------------------------------------------------- */
/* Ranges of frontends, by their id; and as KL_LOCAL_SOURCES the sources that count as pods of this node. */
#define KL_LOCAL_SOURCES 0
struct kl_range_key {
  __u32 bits; /* 32 + prefix length; of an IPv4 range 32 + 96 + its length */
  __u32 ranges;
  struct kl_addr address;
};

/* -- config: ARRAY of one row, mapped ----------------------------------------------------------------------------- */
struct kl_config {
  __u64 netns_cookie;           /* of the node's own network namespace */
  struct kl_addr masquerade[2]; /* source of masqueraded flows: IPv4, IPv6; zero: none, such flows are dropped */
  __u16 nat_port_first;         /* ports for masqueraded flows, host order */
  __u16 nat_port_count;
  __u32 flags;
  __u32 hash_seed;         /* that rows of the connection tables are placed by, and backends chosen */
  __u32 events_per_second; /* told by each CPU at most */
  __be16 tunnel_port;      /* of Geneve, both ends */
  __u16 zero;
  __u32 seen_step; /* kl_time: a row is marked as seen again after so long, its twin too */
  /* Idle time after which a row is no longer there, in kl_time: by protocol (0: UDP and SCTP, 1: TCP), then
   * kl_ct_state. */
  __u32 timeout[2][4];
};
enum kl_config_flags {
  KL_CONFIG_TCP_SOCKET = 1,
  KL_CONFIG_UDP_SOCKET = 2,         /* all; without it only those that the packet hooks cannot see */
  KL_CONFIG_DROP_EVENTS = 4,        /* tell what is dropped and rejected */
  KL_CONFIG_FLOW_EVENTS = 8,        /* tell of flows that begin */
  KL_CONFIG_NODE_SOCKETS_ONLY = 16, /* sockets of pods are left to the packet hooks */
  KL_CONFIG_SOME_NETNS_LEFT = 32,   /* some pods' are: look into left_netns */
  /* A packet's source says whether it is from a pod, not the link it came by; by family. */
  KL_CONFIG_LOCAL_SOURCES4 = 64,
  KL_CONFIG_LOCAL_SOURCES6 = 128,
  /* Beside another proxy, whose rules the stack follows: */
  KL_CONFIG_NO_NEW_FLOWS = 256,   /* known flows go on, new ones are left to the stack */
  KL_CONFIG_LEAVE_STRANGERS = 512 /* TCP packets that neither begin a flow nor belong to one are left to the stack */
};

/* Time: CLOCK_MONOTONIC_COARSE in ns >> 20, 1.05 ms, modulo 2^32. */
#define KL_TIME_SHIFT 20

/* -- connections: ARRAY of buckets, one for each family; the daemon reads them with BPF_F_LOCK --------------------- */
/* A flow has two rows: as the client sends it, and as the backend replies. Each says all that is to be done with a
 * packet of that direction. A row lies in one of two buckets, the second only while the first is full. */
enum kl_ct_state { KL_CT_NEW, KL_CT_ESTABLISHED, KL_CT_CLOSING };
enum kl_ct_flags {
  KL_CT_REPLY = 1, /* from the backend to the client */
  KL_CT_MASQUERADED = 2,
  KL_CT_NODE = 8,   /* one end is this node itself: leave the rest to its stack */
  KL_CT_TUNNEL = 16 /* to the endpoint `to_dst` by its node, which is `to_src`; nothing is rewritten, and no twin */
};
/* Above the flags: 0 in a row that these programs made. In one that was carried over from the programs before, how sure
 * it is, the less the surer (ConnectionMover): while those still decide, it may be behind what they have. */
#define KL_CT_COPY_SHIFT 8

struct kl_ct_rest {
  __u32 backend; /* name */
  __u32 service;
  __u32 seen;     /* kl_time of the last packet, to kl_config.seen_step */
  __u32 next_hop; /* id of a row of next_hops; 0: ask the routes */
  __u16 routed;   /* kl_time >> 8 when the routes were asked */
  __u16 zero;
};

struct kl_ct4 {
  __be32 src, dst;
  __be16 sport, dport;
  __u8 protocol, state;
  __u16 flags;
  __be32 to_src, to_dst;
  __be16 to_sport, to_dport;
  struct kl_ct_rest rest;
};

struct kl_ct6 {
  struct kl_addr src, dst;
  __be16 sport, dport;
  __u8 protocol, state;
  __u16 flags;
  struct kl_addr to_src, to_dst;
  __be16 to_sport, to_dport;
  struct kl_ct_rest rest;
};

/* Where the packet that forget_flow and keep_flow are run with has the kl_flow of the row. */
#define KL_FLOW_AT 14

#define KL_CT_WAYS 5
#define KL_CT_SPILLED 0x8000 /* in changes: a row may be in its second bucket */
#define KL_CT_MOVING 0x4000  /* in changes: a row is being moved to its second bucket */
/* `changes` goes up by one before and after a row is written: rows are read without the lock. */
struct kl_ct4_bucket {
  struct bpf_spin_lock lock;
  __u16 changes;
  __u16 tag[KL_CT_WAYS];
  struct kl_ct4 row[KL_CT_WAYS]; /* the first in the bucket's first cache line */
};
struct kl_ct6_bucket {
  struct bpf_spin_lock lock;
  __u16 changes;
  __u16 tag[KL_CT_WAYS];
  struct kl_ct6 row[KL_CT_WAYS];
};

/* -- next_hops: ARRAY: where packets of flows go next. Few, so in the cache when the flows are not ------------------
 */
#define KL_NEXT_HOPS 4096
enum kl_way_flags { KL_WAY_PEER = 1 /* oif is the node's end of a pod's link: hand the packet to its peer */ };

struct kl_way {
  __u32 oif;
  __u16 mtu;
  __u16 flags;
  __u8 dmac[6], smac[6];
};

struct kl_next_hop {
  struct bpf_spin_lock lock;
  __u32 id;    /* its row, and KL_NEXT_HOPS times a number that changes with `way`; 0: nothing, or being written */
  __u32 asked; /* kl_time when the routes last said so */
  struct kl_way way;
};

/* -- fragments: LRU_HASH: the ports of a datagram, from its first fragment ----------------------------------------- */
struct kl_fragment_key {
  struct kl_addr src, dst;
  __u32 id;
  __u32 protocol;
};
struct kl_fragment {
  __be16 sport, dport;
};

/* -- what was translated: sockets: SK_STORAGE; connected: HASH, cookie -> kl_socket, of TCP while there is room; peers:
 * LRU_HASH, of sockets that send to many -------------------------------------------------------------------------- */
struct kl_socket {
  struct kl_addr backend, frontend;
  __be16 backend_port, frontend_port;
};
struct kl_peer_key {
  __u64 socket; /* cookie */
  struct kl_addr backend;
  __be16 backend_port;
  __u16 zero[3];
};
struct kl_peer {
  struct kl_addr frontend;
  __be16 frontend_port;
  __u16 zero;
  __u32 backend; /* name */
};

/* -- left_netns: HASH, cookie of a network namespace -> __u32: whose sockets are not translated ---------------------
 */

/* -- nodes: HASH, kl_addr -> __u32: who may send to the tunnel's end ------------------------------------------------
 */

/* -- links: HASH, ifindex -> kl_link_kind -------------------------------------------------------------------------- */
enum kl_link_kind { KL_LINK_UPLINK = 1, KL_LINK_POD = 2 };

/* -- transition: ARRAY of one row, mapped; there only while these maps take over from others (transition.h) ---------
 */
enum kl_phase {
  KL_PHASE_FOLLOW, /* the programs before decide everything */
  KL_PHASE_LEAD,   /* what is new is ours, what only they know is theirs */
  KL_PHASE_ALONE   /* all that they knew is here */
};
struct kl_transition {
  __u32 phase;
  __u32 moved; /* rows of `moved` that are to be stored */
};

/* -- moved: ARRAY, mapped: rows of another connection table, on their way into this one -----------------------------
 */
#define KL_MOVED_ROWS 256
enum kl_moved_result { KL_MOVED_WAITS, KL_MOVED_STORED, KL_MOVED_KNOWN, KL_MOVED_TAKEN };
struct kl_moved {
  struct kl_addr src, dst;
  struct kl_addr to_src, to_dst;
  __be16 sport, dport;
  __be16 to_sport, to_dport;
  __u8 protocol, state;
  __u16 flags;
  struct kl_ct_rest rest;
  __u32 result; /* kl_moved_result */
};

/* -- predecessors_tc, predecessors_xdp: PROG_ARRAY: the programs before, by hook ------------------------------------
 */
enum kl_predecessor { KL_AFTER_POD_INGRESS, KL_AFTER_UPLINK_INGRESS, KL_AFTER_NODE_EGRESS, KL_AFTER_COUNT };

#ifndef __bpf__
#ifdef __cplusplus
static_assert(sizeof(kl_frontend_key) == 20 && sizeof(kl_frontend) == 16 && sizeof(kl_service) == 32 &&
              sizeof(kl_backend) == 48);
static_assert(sizeof(kl_ct_rest) == 20 && sizeof(kl_ct4) == 48 && sizeof(kl_ct6) == 96 && sizeof(kl_next_hop) == 32);
static_assert(sizeof(kl_event) == 112 && offsetof(kl_event, counter) == 88);
static_assert(sizeof(kl_ct4_bucket) == 256 && sizeof(kl_ct6_bucket) == 496);
#endif
#endif

#endif
