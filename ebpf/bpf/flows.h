/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Known flows and new ones: from a packet to the row that says what to do with it. */
#ifndef KEELSON_EBPF_FLOWS_H
#define KEELSON_EBPF_FLOWS_H

#include "dataplane/packet/geneve.h"
#include "dataplane/packet/parse.h"
#include "ebpf/bpf/choose.h"
#include "ebpf/bpf/connections.h"
#include "ebpf/bpf/events.h"
#include "ebpf/bpf/route.h"

#define KL_NAT_TRIES 64

/* More than a program's stack holds. Nothing in it outlives the packet. */
struct scratch {
  struct kl_packet packet;
  struct row row;
  struct choice choice;
  struct kl_flow onward, twin;
  struct row twin_row, found;
  struct bpf_fib_lookup fib;
  struct kl_tunnel tunnel;
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct scratch);
} scratch_of_cpu KL_MAP;

/* What a packet says about its connection. */
KL_INLINE __u8 state_from(const struct kl_packet* packet) {
  if (packet->flow.protocol != IPPROTO_TCP) {
    return KL_CT_NEW;
  }
  if (packet->tcp_flags & (KL_TCP_FIN | KL_TCP_RST)) {
    return KL_CT_CLOSING;
  }
  return packet->tcp_flags & KL_TCP_ACK ? KL_CT_ESTABLISHED : KL_CT_NEW;
}

/* Of a protocol without a beginning every packet may be the first. */
KL_INLINE int begins_flow(const struct kl_packet* packet) {
  return packet->flow.protocol != IPPROTO_TCP || (packet->tcp_flags & (KL_TCP_SYN | KL_TCP_ACK)) == KL_TCP_SYN;
}

/* The flow that the other side sends, once translated flows are taken into account; and what happens with it. */
KL_INLINE void twin_of(const struct kl_flow* flow, const struct row* row, struct kl_flow* twin, struct row* twin_row) {
  twin->src = row->to_dst;
  twin->dst = row->to_src;
  twin->sport = row->to_dport;
  twin->dport = row->to_sport;
  twin->protocol = flow->protocol;
  twin->zero[0] = twin->zero[1] = twin->zero[2] = 0;
  twin_row->state = row->state;
  twin_row->aged = 0;
  twin_row->rest = row->rest;
  twin_row->to_src = flow->dst;
  twin_row->to_dst = flow->src;
  twin_row->to_sport = flow->dport;
  twin_row->to_dport = flow->sport;
  twin_row->flags = (row->flags & ~KL_CT_NODE) ^ KL_CT_REPLY;
  twin_row->rest.next_hop = 0;
}

/* A flow of one direction only (a download's acknowledgements) must not lose its other row. Once a seen_step. */
KL_INLINE void keep_twin(const struct kl_flow* flow, const struct row* row, __u32 now, int v6) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_of_cpu, &zero_row);
  if (!scratch) {
    return;
  }
  twin_of(flow, row, &scratch->twin, &scratch->twin_row);
  if (connection_find(&scratch->twin, row->state, now, v6, &scratch->found)) {
    return;
  }
  connection_store(&scratch->twin, &scratch->twin_row, 1, now, v6);
}
__noinline int keep_twin4(const struct kl_flow* flow, const struct row* row, __u32 now) {
  if (!flow || !row) {
    return 0;
  }
  keep_twin(flow, row, now, 0);
  return 0;
}
__noinline int keep_twin6(const struct kl_flow* flow, const struct row* row, __u32 now) {
  if (!flow || !row) {
    return 0;
  }
  keep_twin(flow, row, now, 1);
  return 0;
}

/* The ports of a flow that has ended begin one that is another proxy's: nothing of the old one may touch it. */
KL_INLINE void give_up_flow(const struct kl_flow* flow, const struct row* row, __u32 now, int v6) {
  const struct kl_config* settings = bpf_map_lookup_elem(&config, &zero_row);
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_of_cpu, &zero_row);
  if (!settings || !scratch || !(settings->flags & KL_CONFIG_NO_NEW_FLOWS)) {
    return;
  }
  twin_of(flow, row, &scratch->twin, &scratch->twin_row);
  scratch->found = *row;
  scratch->found.rest.seen = scratch->twin_row.rest.seen = now - KL_LONG_AGO;
  connection_store(flow, &scratch->found, 0, now, v6);
  connection_store(&scratch->twin, &scratch->twin_row, 0, now, v6);
}
__noinline int give_up_flow4(const struct kl_flow* flow, const struct row* row, __u32 now) {
  if (flow && row) {
    give_up_flow(flow, row, now, 0);
  }
  return 0;
}
__noinline int give_up_flow6(const struct kl_flow* flow, const struct row* row, __u32 now) {
  if (flow && row) {
    give_up_flow(flow, row, now, 1);
  }
  return 0;
}

/* 1 and its row, if the packet belongs to a known flow that goes on. */
KL_INLINE int known_flow(const struct kl_packet* packet, __u32 now, int v6, struct row* row) {
  if (!connection_find(&packet->flow, state_from(packet), now, v6, row)) {
    return 0;
  }
  if (!(row->flags & KL_CT_REPLY)) {
    if (packet->flow.protocol == IPPROTO_TCP) {
      /* The ports are used again. */
      if (__builtin_expect(begins_flow(packet) && row->state == KL_CT_CLOSING, 0)) {
        if (v6) {
          give_up_flow6(&packet->flow, row, now);
        } else {
          give_up_flow4(&packet->flow, row, now);
        }
        return 0;
      }
    } else if (!may_take_flows(row->rest.backend)) {
      return 0; /* a datagram never follows an endpoint that has left */
    }
  }
  if (__builtin_expect(row->aged, 0) && !(row->flags & KL_CT_TUNNEL)) {
    if (v6) {
      keep_twin6(&packet->flow, row, now);
    } else {
      keep_twin4(&packet->flow, row, now);
    }
  }
  return 1;
}

/* Stores both rows of a flow. The reply's decides which source port is free: a masqueraded flow takes one of the
 * node's, any other keeps its own unless another flow of that client has it. */
KL_INLINE int store_flow(const struct kl_flow* flow, struct row* row, struct scratch* scratch, __u32 hash, __u32 now,
                         int v6) {
  const struct kl_config* settings = bpf_map_lookup_elem(&config, &zero_row);
  if (!settings) {
    return 0;
  }
  row->state = KL_CT_NEW;
  row->rest.seen = now;
  int sctp = flow->protocol == IPPROTO_SCTP;
  int keep_port = sctp || !(row->flags & KL_CT_MASQUERADED);
  __u32 many = settings->nat_port_count, first = settings->nat_port_first;
  for (__u32 i = 0; i < KL_NAT_TRIES; i++) {
    if (!keep_port || i) {
      if (!many || sctp) {
        return 0;
      }
      row->to_sport = __builtin_bswap16((__u16)(first + (hash + i * 7919) % many));
    }
    twin_of(flow, row, &scratch->twin, &scratch->twin_row);
    /* The backend remembers a flow that it closed for a minute, and may refuse another client's SYN with its ports: as
     * long as there are others, they are taken. */
    __u32 how = keep_port || i >= KL_NAT_TRIES / 2 ? CT_IF_FREE : CT_IF_FREE | CT_UNUSED;
    if (connection_store(&scratch->twin, &scratch->twin_row, how, now, v6)) {
      return connection_store(flow, row, 0, now, v6);
    }
  }
  return 0;
}

/* A connection of no service whose replies would be taken for those of a service's flow: the client has, or had, one
 * with the same endpoint and the same ports. It gets another port, as from netfilter, or takes over the ended one's. */
KL_INLINE int start_direct(const struct kl_packet* packet, struct scratch* scratch, __u32 hash, __u32 now, int v6,
                           struct row* row) {
  const struct kl_flow* flow = &packet->flow;
  if (flow->protocol != IPPROTO_TCP || (packet->tcp_flags & (KL_TCP_SYN | KL_TCP_ACK)) != KL_TCP_SYN) {
    return CHOICE_NOT_OURS;
  }
  kl_reverse(flow, &scratch->onward);
  if (__builtin_expect(!connection_find(&scratch->onward, KL_CT_NEW, now, v6, &scratch->found), 1)) {
    return CHOICE_NOT_OURS;
  }
  __builtin_memset(row, 0, sizeof *row);
  row->to_src = flow->src;
  row->to_sport = flow->sport;
  row->to_dst = flow->dst;
  row->to_dport = flow->dport;
  return store_flow(flow, row, scratch, hash, now, v6) ? CHOICE_FORWARD : CHOICE_NOT_OURS;
}

/* What a connected datagram socket of the node sends to an endpoint is meant for the service that it was connected to:
 * the endpoint may have left since. */
KL_INLINE const struct kl_flow* meant_by(struct __sk_buff* skb, const struct kl_flow* flow, struct kl_flow* meant) {
  struct bpf_sock* sk = skb->sk;
  if (flow->protocol != IPPROTO_UDP || !sk) {
    return flow;
  }
  sk = bpf_sk_fullsock(sk);
  const struct kl_socket* known = sk ? bpf_sk_storage_get(&sockets, sk, NULL, 0) : NULL;
  if (!known || known->backend_port != flow->dport || !kl_same_addr(&known->backend, &flow->dst)) {
    return flow;
  }
  *meant = *flow;
  meant->dst = known->frontend;
  meant->dport = known->frontend_port;
  canonical_loopback(&meant->dst);
  return meant;
}

/* A new flow of a service: chooses, finds the way, stores. `where`: the hook, and the link it came in by. Returns a
 * choice_result; for CHOICE_FORWARD the row is ready, for CHOICE_DROP row->rest.backend is the counter that says why.
 * At XDP only if it leaves by the link it came from, else CHOICE_LEAVE and nothing is stored. */
KL_INLINE int start_flow(void* ctx, const struct kl_packet* packet, enum kl_from from, __u64 where, __u32 now, int v6,
                         struct row* row) {
  __u32 in = (__u32)where;
  int same_link = where >> 32 == KL_AT_XDP;
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_of_cpu, &zero_row);
  if (!scratch) {
    return CHOICE_NOT_OURS;
  }
  const struct kl_flow* flow = &packet->flow;
  struct choice* choice = &scratch->choice;
  choice->service = 0;
  const struct kl_flow* meant = where >> 32 == KL_AT_EGRESS ? meant_by(ctx, flow, &scratch->onward) : flow;
  const struct kl_frontend* frontend = frontend_of_packet(meant, now);
  int part = begins_flow(packet) ? AT_PACKET : AT_LATER_PACKET;
  if (__builtin_expect(!frontend && part == AT_LATER_PACKET, 1)) {
    return CHOICE_NOT_OURS;
  }
  __u32 hash = kl_flow_hash(flow, hash_seed, v6).first;
  int result = frontend ? choose(frontend, meant, &flow->src, from, hash, now, part, v6, choice) : CHOICE_NOT_OURS;
  row->rest.backend = choice->counter;
  row->rest.service = choice->service;
  /* Where it comes in: on its way out a service's flow looks the same. */
  if (result == CHOICE_NOT_OURS && where >> 32 == KL_AT_INGRESS) {
    return start_direct(packet, scratch, hash, now, v6, row);
  }
  if (result != CHOICE_FORWARD) {
    return result;
  }
  if (same_link && (choice->flags & KL_BACKEND_ON_NODE)) {
    return CHOICE_LEAVE;
  }

  __builtin_memset(row, 0, sizeof *row);
  row->to_src = flow->src;
  row->to_sport = flow->sport;
  row->to_dst = choice->address;
  row->to_dport = choice->port;
  row->rest.backend = choice->backend;
  row->rest.service = choice->service;
  if (flow->protocol == IPPROTO_SCTP && choice->port != flow->dport) {
    row->rest.backend = KL_DROP_SCTP_PORT;
    return CHOICE_DROP;
  }

  const struct kl_config* settings = bpf_map_lookup_elem(&config, &zero_row);
  if (!settings) {
    return CHOICE_NOT_OURS;
  }
  int wrapped = !kl_no_addr(&choice->node) && !kl_no_addr(&settings->masquerade[v6]);
  struct kl_flow* onward = &scratch->onward;
  onward->src = wrapped ? settings->masquerade[v6] : flow->src;
  onward->dst = wrapped ? choice->node : choice->address;
  onward->protocol = flow->protocol;
  enum route_kind way = route_find(ctx, onward, in, same_link ? packet->length : 0, now, v6, &scratch->fib, row);
  if (same_link && (way != ROUTE_KNOWN || row->way.oif != in)) {
    return CHOICE_LEAVE;
  }

  if (wrapped && way != ROUTE_NODE) {
    row->to_src = choice->node;
    row->flags |= KL_CT_TUNNEL;
    row->rest.seen = now;
    connection_store(flow, row, 0, now, v6);
    onward->src = flow->src;
    onward->dst = choice->address;
    onward->sport = flow->sport;
    onward->dport = choice->port;
    count_begin(KL_FLOWS_NEW, flow, onward, row->rest.service, row->rest.backend, where);
    return CHOICE_FORWARD;
  }

  /* What goes to this node itself passes its stack on the way back in any case. */
  if (way != ROUTE_NODE && (choice->masquerade || kl_same_addr(&flow->src, &choice->address))) {
    if (kl_no_addr(&settings->masquerade[v6])) {
      row->rest.backend = KL_DROP_NO_MASQUERADE;
      return CHOICE_DROP;
    }
    row->to_src = settings->masquerade[v6];
    row->flags |= KL_CT_MASQUERADED;
  }
  if (!store_flow(flow, row, scratch, hash, now, v6)) {
    row->rest.backend = KL_DROP_NAT_PORTS;
    return CHOICE_DROP;
  }
  kl_reverse(&scratch->twin, onward);
  count_begin(KL_FLOWS_NEW, flow, onward, row->rest.service, row->rest.backend, where);
  return CHOICE_FORWARD;
}

/* What the node sends is seen where it leaves. */
KL_INLINE __u64 tc_where(const struct __sk_buff* skb, __u32 from) {
  return KL_WHERE(from == KL_FROM_NODE ? KL_AT_EGRESS : KL_AT_INGRESS, skb->ifindex);
}

__noinline int start_flow_tc4(struct __sk_buff* skb, const struct kl_packet* packet, __u32 from, __u32 now,
                              struct row* row) {
  if (!packet || !row) {
    return CHOICE_NOT_OURS;
  }
  return start_flow(skb, packet, from, tc_where(skb, from), now, 0, row);
}
__noinline int start_flow_tc6(struct __sk_buff* skb, const struct kl_packet* packet, __u32 from, __u32 now,
                              struct row* row) {
  if (!packet || !row) {
    return CHOICE_NOT_OURS;
  }
  return start_flow(skb, packet, from, tc_where(skb, from), now, 1, row);
}
__noinline int start_flow_xdp4(struct xdp_md* ctx, const struct kl_packet* packet, __u32 now, struct row* row) {
  if (!packet || !row) {
    return CHOICE_NOT_OURS;
  }
  return start_flow(ctx, packet, KL_FROM_OUTSIDE, KL_WHERE(KL_AT_XDP, ctx->ingress_ifindex), now, 0, row);
}
__noinline int start_flow_xdp6(struct xdp_md* ctx, const struct kl_packet* packet, __u32 now, struct row* row) {
  if (!packet || !row) {
    return CHOICE_NOT_OURS;
  }
  return start_flow(ctx, packet, KL_FROM_OUTSIDE, KL_WHERE(KL_AT_XDP, ctx->ingress_ifindex), now, 1, row);
}

/* What is to be put in front of a packet whose row says KL_CT_TUNNEL. */
KL_INLINE int tunnel_of(const struct kl_packet* packet, const struct row* row, int v6, struct kl_tunnel* tunnel) {
  const struct kl_config* settings = bpf_map_lookup_elem(&config, &zero_row);
  if (!settings) {
    return 0;
  }
  tunnel->from = settings->masquerade[v6];
  tunnel->to = row->to_src;
  tunnel->endpoint = row->to_dst;
  tunnel->endpoint_port = row->to_dport;
  tunnel->port = settings->tunnel_port;
  tunnel->source = kl_tunnel_source((__u32)packet->flow.sport << 16 ^ packet->flow.src.word[3]);
  tunnel->length = packet->length;
  return 1;
}

/* Whether the checksum behind an IPv6 header, at once, says what the bytes sum up to: SCTP's is another kind, and a
 * tunnel's UDP may have none (RFC 6935). */
KL_INLINE int has_sum(const struct ipv6hdr* ip, const void* end) {
  if (ip->nexthdr != IPPROTO_UDP) {
    return ip->nexthdr != IPPROTO_SCTP;
  }
  const struct udphdr* udp = (const void*)(ip + 1);
  return (const void*)(udp + 1) <= end && udp->check;
}

/* The ports of a later fragment, from the first one's. 0 if that has not been seen. */
__noinline int fragment_ports(struct kl_packet* packet) {
  if (!packet) {
    return 0;
  }
  struct kl_fragment_key key = {
      .src = packet->flow.src, .dst = packet->flow.dst, .id = packet->fragment_id, .protocol = packet->flow.protocol};
  if (packet->fragment == KL_FIRST_FRAGMENT) {
    struct kl_fragment ports = {packet->flow.sport, packet->flow.dport};
    bpf_map_update_elem(&fragments, &key, &ports, BPF_ANY);
    return 1;
  }
  const struct kl_fragment* ports = bpf_map_lookup_elem(&fragments, &key);
  if (!ports) {
    return 0;
  }
  packet->flow.sport = ports->sport;
  packet->flow.dport = ports->dport;
  return 1;
}

#endif
