/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What becomes of packets: counted, and told to who listens. Shared by programs and daemon; part of abi.h. */
#ifndef KEELSON_EBPF_COUNTERS_H
#define KEELSON_EBPF_COUNTERS_H

#include <linux/types.h>

#include "dataplane/packet/flow.h"

/* -- counters: PERCPU_ARRAY of __u64, by kl_counter ---------------------------------------------------------------- */
/* X(name, kind, label, text): kind: KL_COUNTS what goes on, KL_DROPS a packet, KL_REJECTS it with an answer to its
 * sender. The label is for metrics, the text for people. New ones come last: pinned maps keep their rows. */
#define KL_COUNTER_LIST(X)                                                                                        \
  X(KL_FLOWS_NEW, KL_COUNTS, "flows_new", "a flow began")                                                         \
  X(KL_FLOWS_EXPIRED_ROWS_REUSED, KL_COUNTS, "flows_expired_rows_reused", "a row whose time was over was reused") \
  X(KL_FLOWS_EVICTED, KL_COUNTS, "flows_evicted", "a live flow was forgotten: the connection table is too small") \
  X(KL_DROP_NO_LOCAL, KL_DROPS, "no_local_endpoint", "traffic policy Local, and no endpoint on this node")        \
  X(KL_DROP_SOURCE_RANGE, KL_DROPS, "source_range", "the source is not in loadBalancerSourceRanges")              \
  X(KL_DROP_NAT_PORTS, KL_DROPS, "no_nat_port", "no source port is free to masquerade with")                      \
  X(KL_DROP_NO_MASQUERADE, KL_DROPS, "no_masquerade_address", "this node has no address of the family")           \
  X(KL_DROP_FRAGMENT, KL_DROPS, "fragment_without_first", "a fragment whose first one has not been seen")         \
  X(KL_DROP_STALE_BACKEND, KL_DROPS, "stale_endpoint", "the endpoint left while the packet was on its way")       \
  X(KL_DROP_MALFORMED, KL_DROPS, "malformed", "headers that contradict each other")                               \
  X(KL_REJECTED, KL_REJECTS, "no_endpoint", "the service has no endpoint")                                        \
  X(KL_SOCKET_TRANSLATED, KL_COUNTS, "socket_translated", "a socket was connected to an endpoint")                \
  X(KL_SOCKET_REFUSED, KL_REJECTS, "socket_refused", "connect() was refused: the service has no endpoint")        \
  X(KL_ICMP_TRANSLATED, KL_COUNTS, "icmp_translated", "an ICMP error was brought to who it is for")               \
  X(KL_DROP_SCTP_PORT, KL_DROPS, "sctp_port", "SCTP to an endpoint on another port than the service's")           \
  X(KL_TOO_BIG, KL_REJECTS, "packet_too_big", "larger than the way's MTU: its sender was told")                   \
  X(KL_DROP_UNANSWERED, KL_DROPS, "unanswered", "no ICMP error may answer such a packet")                         \
  X(KL_EVENTS_LOST, KL_COUNTS, "events_lost", "an event was not told: over the rate, or nobody reads")            \
  X(KL_WRAPPED, KL_COUNTS, "wrapped", "a packet was sent to the node of its endpoint")                            \
  X(KL_UNWRAPPED, KL_COUNTS, "unwrapped", "a packet came by another node for an endpoint of this one")            \
  X(KL_DROP_TUNNEL, KL_DROPS, "tunnel", "a Geneve packet of no known node, or not of this form")

/* Names whose values are their place in the list: its order is what is pinned. */
#define KL_COUNTER_NAME(name, kind, label, text) name,
enum kl_counter { KL_COUNTER_LIST(KL_COUNTER_NAME) KL_COUNTERS };
#undef KL_COUNTER_NAME

enum kl_counter_kind { KL_COUNTS, KL_DROPS, KL_REJECTS };

/* -- events: RINGBUF of kl_event ----------------------------------------------------------------------------------- */
enum kl_hook { KL_AT_SOCKET, KL_AT_INGRESS, KL_AT_EGRESS, KL_AT_XDP };

struct kl_event {
  __u64 time;            /* CLOCK_MONOTONIC, ns */
  struct kl_flow flow;   /* as the packet came; at a socket without its source */
  struct kl_flow onward; /* as it goes on; zero: it does not */
  __u32 counter;         /* kl_counter: what became of it */
  __u32 service;         /* row; 0: not known */
  __u32 backend;         /* name; 0: none */
  __u32 ifindex;         /* the link it was seen on; 0: at a socket */
  __u32 hook;            /* kl_hook */
  __u32 zero;
};
#define KL_EVENTS_BYTES (256 * 1024)

/* -- event_rates: PERCPU_ARRAY of one row -------------------------------------------------------------------------- */
struct kl_event_rate {
  __u32 second; /* kl_time >> 10 */
  __u32 told;   /* events in it */
};

#endif
