/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* ICMP errors about translated flows, in both directions: who gets one must find in it what he has sent (RFC 5508). */
#ifndef KEELSON_EBPF_TC_ICMP_H
#define KEELSON_EBPF_TC_ICMP_H

KL_INLINE int is_icmp_error(__u8 type, int v6) {
  if (v6) {
    return type >= KL_ICMPV6_UNREACHABLE && type <= KL_ICMPV6_PARAMETER_PROBLEM;
  }
  return type == KL_ICMP_UNREACHABLE || type == KL_ICMP_TIME_EXCEEDED || type == KL_ICMP_PARAMETER_PROBLEM ||
         type == KL_ICMP_SOURCE_QUENCH;
}

/* The flow of the packet that an error quotes, at `at`. 0: not one of ours. */
KL_INLINE int tc_quoted(struct __sk_buff* skb, __u32 at, int v6, struct kl_flow* flow, __u32* l4) {
  if (v6) {
    struct ipv6hdr ip;
    if (bpf_skb_load_bytes(skb, at, &ip, sizeof ip)) {
      return 0;
    }
    __builtin_memcpy(&flow->src, &ip.saddr, 16);
    __builtin_memcpy(&flow->dst, &ip.daddr, 16);
    flow->protocol = ip.nexthdr;
    *l4 = at + sizeof ip;
  } else {
    struct iphdr ip;
    if (bpf_skb_load_bytes(skb, at, &ip, sizeof ip)) {
      return 0;
    }
    if (ip.version != 4 || ip.ihl < 5 || (ip.frag_off & __builtin_bswap16(0x1fff))) {
      return 0;
    }
    flow->src = kl_mapped(ip.saddr);
    flow->dst = kl_mapped(ip.daddr);
    flow->protocol = ip.protocol;
    *l4 = at + ip.ihl * 4;
  }
  if (flow->protocol != IPPROTO_TCP && flow->protocol != IPPROTO_UDP && flow->protocol != IPPROTO_SCTP) {
    return 0;
  }
  __be16 ports[2];
  if (bpf_skb_load_bytes(skb, *l4, ports, sizeof ports)) {
    return 0;
  }
  flow->sport = ports[0];
  flow->dport = ports[1];
  return 1;
}

/* The quoted packet as its sender sent it. The sum of an IPv4 header with its checksum does not change; ports do. */
KL_INLINE void tc_rewrite_quote(struct __sk_buff* skb, __u32 at, __u32 l4, const struct kl_flow* flow,
                                const struct row* row, int v6, kl_sum* sum) {
  __be16 ports[2] = {row->to_dport, row->to_sport};
  *sum = kl_sum_replace(*sum, (__u32)flow->dport << 16 | flow->sport, (__u32)row->to_sport << 16 | row->to_dport);
  bpf_skb_store_bytes(skb, l4, ports, sizeof ports, 0);
  if (v6) {
    *sum = kl_sum_replace_addr(*sum, &flow->src, &row->to_dst, 1);
    *sum = kl_sum_replace_addr(*sum, &flow->dst, &row->to_src, 1);
    bpf_skb_store_bytes(skb, at + offsetof(struct ipv6hdr, saddr), &row->to_dst, 16, 0);
    bpf_skb_store_bytes(skb, at + offsetof(struct ipv6hdr, daddr), &row->to_src, 16, 0);
    return;
  }
  kl_sum addresses = kl_sum_replace_addr(0, &flow->src, &row->to_dst, 0);
  addresses = kl_sum_replace_addr(addresses, &flow->dst, &row->to_src, 0);
  __u32 field = at + offsetof(struct iphdr, check);
  bpf_l3_csum_replace(skb, field, 0, kl_sum_fold32(addresses), 0);
  bpf_skb_store_bytes(skb, at + offsetof(struct iphdr, saddr), &row->to_dst.word[3], 4, 0);
  bpf_skb_store_bytes(skb, at + offsetof(struct iphdr, daddr), &row->to_src.word[3], 4, 0);
}

KL_INLINE int tc_icmp_any(struct __sk_buff* skb, struct kl_packet* packet, int egress, int v6) {
  if (packet->fragment || !is_icmp_error(packet->icmp_type, v6)) {
    return TC_NEXT;
  }
  __u32 icmp = packet->l4 & KL_MAX_L4, at = icmp + 8, l4 = 0;
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_of_cpu, &zero_row);
  if (!scratch) {
    return TC_NEXT;
  }
  struct kl_flow *quoted = &scratch->onward, *reverse = &scratch->twin;
  /* Who is told must be who has sent what is quoted. */
  if (!tc_quoted(skb, at, v6, quoted, &l4) || !kl_same_addr(&quoted->src, &packet->flow.dst)) {
    return TC_NEXT;
  }
  kl_reverse(quoted, reverse);
  __u32 now = time_now();
  struct row* row = &scratch->row;
  /* The row of who would have answered says how his packets are translated; so is this one. */
  if (!connection_find(reverse, KL_CT_NEW, now, v6, row)) {
    return TC_NEXT;
  }
  if (row->flags & KL_CT_TUNNEL) {
    return tc_forward(skb, packet, row, now, egress, v6); /* who has sent what it quotes is behind the tunnel */
  }
  kl_sum sum = 0;
  tc_rewrite_quote(skb, at, l4 & 1023, quoted, row, v6, &sum);
  if (v6) {
    sum = kl_sum_replace_addr(sum, &packet->flow.src, &row->to_src, 1);
    sum = kl_sum_replace_addr(sum, &packet->flow.dst, &row->to_dst, 1);
  }
  bpf_l4_csum_replace(skb, icmp + 2, 0, kl_sum_fold32(sum), 0);
  count(KL_ICMP_TRANSLATED);

  /* No ports of its own: what is left is the header. */
  packet->fragment = KL_LATER_FRAGMENT;
  return tc_forward(skb, packet, row, now, egress, v6);
}

__noinline int tc_icmp4(struct __sk_buff* skb, struct kl_packet* packet, __u32 egress) {
  return packet ? tc_icmp_any(skb, packet, egress, 0) : TC_NEXT;
}
__noinline int tc_icmp6(struct __sk_buff* skb, struct kl_packet* packet, __u32 egress) {
  return packet ? tc_icmp_any(skb, packet, egress, 1) : TC_NEXT;
}

#endif
