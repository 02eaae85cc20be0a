/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Both ends of what packets of flows from outside travel in to the node of their endpoint: see packet/geneve.h. */
#ifndef KEELSON_EBPF_TC_TUNNEL_H
#define KEELSON_EBPF_TC_TUNNEL_H

#define TC_ROOM_FLAGS(v6)                                                                        \
  (BPF_F_ADJ_ROOM_ENCAP_L4_UDP | BPF_F_ADJ_ROOM_NO_CSUM_RESET |                                  \
   ((v6) ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 | BPF_F_ADJ_ROOM_ENCAP_L2(sizeof(struct kl_outer6) - 48) \
         : BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L2(sizeof(struct kl_outer4) - 28)))

/* Puts the headers in front. 0: it cannot be done. */
KL_INLINE int tc_wrap_any(struct __sk_buff* skb, const struct kl_packet* packet, const struct row* row, int v6) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_of_cpu, &zero_row);
  if (!scratch || !tunnel_of(packet, row, v6, &scratch->tunnel)) {
    return 0;
  }
  /* A segment that is cut later is longer than its header says. */
  scratch->tunnel.length = (__u16)(skb->len - ETH_HLEN);
  tc_decrement_ttl(skb, v6);
  if (bpf_skb_adjust_room(skb, KL_OUTER(v6), BPF_ADJ_ROOM_MAC, TC_ROOM_FLAGS(v6))) {
    return 0;
  }
  void *data = TC_DATA(skb), *end = TC_END(skb);
  void *outer = data + ETH_HLEN, *inside = outer + KL_OUTER(v6);
  if (inside + sizeof(struct ipv6hdr) > end) {
    if (v6 || inside > end) {
      return 0;
    }
  }
  if (v6) {
    int plain = !packet->fragment && !skb->gso_size && packet->l4 == ETH_HLEN + sizeof(struct ipv6hdr);
    kl_fill_outer6(outer, &scratch->tunnel, plain && has_sum(inside, end) ? inside : NULL);
  } else {
    kl_fill_outer4(outer, &scratch->tunnel);
  }
  count(KL_WRAPPED);
  return 1;
}
__noinline int tc_wrap4(struct __sk_buff* skb, const struct kl_packet* packet, const struct row* row) {
  return packet && row ? tc_wrap_any(skb, packet, row, 0) : 0;
}
__noinline int tc_wrap6(struct __sk_buff* skb, const struct kl_packet* packet, const struct row* row) {
  return packet && row ? tc_wrap_any(skb, packet, row, 1) : 0;
}

/* To the node of the endpoint. */
KL_INLINE int tc_leave_wrapped(struct __sk_buff* skb, const struct kl_packet* packet, const struct row* row,
                               enum route_kind way, const struct bpf_fib_lookup* fib, int v6) {
  if (packet->ttl <= 1) {
    return TC_NEXT; /* the stack tells the sender */
  }
  if (!(v6 ? tc_wrap6(skb, packet, row) : tc_wrap4(skb, packet, row))) {
    return tc_drop(skb, packet, KL_DROP_TUNNEL, row->rest.service, 0);
  }
  if (way == ROUTE_KNOWN) {
    tc_set_macs(skb, row->way.dmac, row->way.smac);
    return bpf_redirect(row->way.oif, 0);
  }
  /* Without a way of its own it goes as the stack sends it. */
  return way == ROUTE_NO_NEIGHBOUR && fib ? tc_leave_by_neighbour(fib, v6) : TC_NEXT;
}

/* Whether a packet is for this node's end of tunnels. */
KL_INLINE int tc_is_wrapped(const struct kl_packet* packet, int v6) {
  const struct kl_config* settings = bpf_map_lookup_elem(&config, &zero_row);
  return settings && packet->flow.dport == settings->tunnel_port && packet->flow.protocol == IPPROTO_UDP &&
         !packet->fragment && kl_same_addr(&packet->flow.dst, &settings->masquerade[v6]);
}

/* Takes the headers off. 0: what is in front is not of a known node, or not what it should be. */
KL_INLINE int tc_unwrap_any(struct __sk_buff* skb, struct kl_packet* packet, int v6) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_of_cpu, &zero_row);
  struct kl_addr sender = packet->flow.src; /* before Linux 6.3 a key must be the function's own */
  if (!scratch || !bpf_map_lookup_elem(&nodes, &sender) || packet->l4 != ETH_HLEN + (v6 ? 40 : 20)) {
    return 0;
  }
  struct kl_geneve geneve;
  __u32 at = ETH_HLEN + (v6 ? 48 : 28), words = v6 ? 5 : 2;
  if (bpf_skb_load_bytes(skb, at, &geneve, sizeof geneve)) {
    return 0;
  }
  __be16 protocol = v6 ? __builtin_bswap16(ETH_P_IPV6) : __builtin_bswap16(ETH_P_IP);
  if (geneve.options != words + 1 || geneve.protocol != protocol || geneve.option_class != KL_GENEVE_CLASS ||
      geneve.option_type != KL_GENEVE_ENDPOINT || geneve.option_words != words) {
    return 0;
  }
  struct kl_tunnel* tunnel = &scratch->tunnel;
  at += sizeof geneve;
  tunnel->endpoint = kl_mapped(0);
  if (bpf_skb_load_bytes(skb, at, v6 ? (void*)&tunnel->endpoint : &tunnel->endpoint.word[3], v6 ? 16 : 4) ||
      bpf_skb_load_bytes(skb, at + (v6 ? 16 : 4), &tunnel->endpoint_port, 2)) {
    return 0;
  }
  return !bpf_skb_adjust_room(skb, -(int)KL_OUTER(v6), BPF_ADJ_ROOM_MAC, 0);
}
__noinline int tc_unwrap4(struct __sk_buff* skb, struct kl_packet* packet) {
  return packet ? tc_unwrap_any(skb, packet, 0) : 0;
}
__noinline int tc_unwrap6(struct __sk_buff* skb, struct kl_packet* packet) {
  return packet ? tc_unwrap_any(skb, packet, 1) : 0;
}

/* The flow of a packet that came wrapped: as if it had come to this node, and had been given that endpoint. */
KL_INLINE int tc_unwrapped_flow(struct scratch* scratch, __u32 now, int v6) {
  const struct kl_flow* flow = &scratch->packet.flow;
  const struct kl_tunnel* tunnel = &scratch->tunnel;
  struct row* row = &scratch->row;
  if (connection_find(flow, state_from(&scratch->packet), now, v6, row) && !(row->flags & KL_CT_TUNNEL) &&
      kl_same_addr(&row->to_dst, &tunnel->endpoint) && row->to_dport == tunnel->endpoint_port) {
    if (__builtin_expect(row->aged, 0)) {
      keep_twin(flow, row, now, v6);
    }
    return 1;
  }
  __builtin_memset(row, 0, sizeof *row);
  row->to_src = flow->src;
  row->to_sport = flow->sport;
  row->to_dst = tunnel->endpoint;
  row->to_dport = tunnel->endpoint_port;
  const struct kl_frontend* frontend = frontend_of(&flow->dst, flow->dport, flow->protocol);
  row->rest.service = frontend ? frontend->service : 0;
  return store_flow(flow, row, scratch, kl_flow_hash(flow, hash_seed, v6).first, now, v6);
}
__noinline int tc_unwrapped_flow4(__u32 now) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_of_cpu, &zero_row);
  return scratch ? tc_unwrapped_flow(scratch, now, 0) : 0;
}
__noinline int tc_unwrapped_flow6(__u32 now) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_of_cpu, &zero_row);
  return scratch ? tc_unwrapped_flow(scratch, now, 1) : 0;
}

#endif
