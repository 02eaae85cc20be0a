/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Packets at tc: on every link of a pod and every uplink, both directions. */
#ifndef KEELSON_EBPF_TC_H
#define KEELSON_EBPF_TC_H

#include <linux/tcp.h>
#include <linux/udp.h>

#include "dataplane/packet/checksum.h"
#include "ebpf/bpf/flows.h"

#define TC_NEXT (-1) /* TCX_NEXT, TC_ACT_UNSPEC: other programs, then the stack */
#define TC_DROP 2

#define TC_DATA(skb) ((void*)(long)(skb)->data)
#define TC_END(skb) ((void*)(long)(skb)->data_end)

KL_INLINE int tc_drop(const struct __sk_buff* skb, const struct kl_packet* packet, __u32 counter, __u32 service,
                      int egress) {
  count_end(counter, &packet->flow, service, tc_where(skb, egress ? KL_FROM_NODE : KL_FROM_OUTSIDE));
  return TC_DROP;
}

#include "ebpf/bpf/tc_error.h"

/* Addresses and ports of the packet become the row's; checksums follow, whoever is to compute them (checksum offload).
 */
KL_INLINE int tc_rewrite(struct __sk_buff* skb, const struct kl_packet* packet, const struct row* row, int v6) {
  const struct kl_flow* flow = &packet->flow;
  kl_sum addresses = kl_sum_replace_addr(0, &flow->src, &row->to_src, v6);
  addresses = kl_sum_replace_addr(addresses, &flow->dst, &row->to_dst, v6);
  __u32 ports_from = (__u32)flow->dport << 16 | flow->sport, ports_to = (__u32)row->to_dport << 16 | row->to_sport;
  int has_l4 = packet->fragment != KL_LATER_FRAGMENT;
  __u32 at = packet->l4 & KL_MAX_L4;
  if (has_l4 && flow->protocol != IPPROTO_SCTP) {
    int udp = flow->protocol == IPPROTO_UDP;
    __u32 field = at + (udp ? offsetof(struct udphdr, check) : offsetof(struct tcphdr, check));
    __u64 flags = udp ? BPF_F_MARK_MANGLED_0 : 0;
    bpf_l4_csum_replace(skb, field, 0, kl_sum_fold32(addresses), flags | BPF_F_PSEUDO_HDR);
    if (ports_from != ports_to) {
      bpf_l4_csum_replace(skb, field, ports_from, ports_to, flags | 4);
    }
  }
  void *data = TC_DATA(skb), *end = TC_END(skb);
  if (v6) {
    struct ipv6hdr* ip = data + ETH_HLEN;
    if ((void*)(ip + 1) > end) {
      return 0;
    }
    __builtin_memcpy(&ip->saddr, &row->to_src, 16);
    __builtin_memcpy(&ip->daddr, &row->to_dst, 16);
  } else {
    struct iphdr* ip = data + ETH_HLEN;
    if ((void*)(ip + 1) > end) {
      return 0;
    }
    ip->saddr = row->to_src.word[3];
    ip->daddr = row->to_dst.word[3];
    ip->check = kl_checksum_update(ip->check, addresses);
  }
  if (has_l4) {
    __be16* ports = data + at;
    if ((void*)(ports + 2) > end) {
      return 0;
    }
    ports[0] = row->to_sport;
    ports[1] = row->to_dport;
  }
  return 1;
}

/* As a router does. */
KL_INLINE void tc_decrement_ttl(struct __sk_buff* skb, int v6) {
  void *data = TC_DATA(skb), *end = TC_END(skb);
  if (v6) {
    struct ipv6hdr* ip = data + ETH_HLEN;
    if ((void*)(ip + 1) <= end) {
      ip->hop_limit--;
    }
  } else {
    struct iphdr* ip = data + ETH_HLEN;
    if ((void*)(ip + 1) > end) {
      return;
    }
    __be16 before = *(__be16*)&ip->ttl;
    ip->ttl--;
    ip->check = kl_checksum_update(ip->check, kl_sum_replace(0, before, *(__be16*)&ip->ttl));
  }
}

KL_INLINE void tc_set_macs(struct __sk_buff* skb, const __u8* to, const __u8* from) {
  void *data = TC_DATA(skb), *end = TC_END(skb);
  struct ethhdr* eth = data;
  if ((void*)(eth + 1) > end) {
    return;
  }
  __builtin_memcpy(eth->h_dest, to, 6);
  __builtin_memcpy(eth->h_source, from, 6);
}

/* The length of what leaves: of one segment, where the card or the kernel will cut it. */
KL_INLINE __u32 tc_length_out(const struct __sk_buff* skb, const struct kl_packet* packet) {
  if (!skb->gso_size) {
    return packet->length;
  }
  return skb->gso_size + packet->l4 - ETH_HLEN + (packet->flow.protocol == IPPROTO_TCP ? 32 : 8);
}

KL_INLINE int tc_leave(struct __sk_buff* skb, const struct kl_packet* packet, const struct row* row, int egress,
                       int v6) {
  if (packet->ttl <= 1) {
    return TC_NEXT; /* the stack tells the sender */
  }
  tc_decrement_ttl(skb, v6);
  if (!egress && (row->way.flags & KL_WAY_PEER)) {
    return bpf_redirect_peer(row->way.oif, 0);
  }
  tc_set_macs(skb, row->way.dmac, row->way.smac);
  if (egress && row->way.oif == skb->ifindex) {
    return TC_NEXT;
  }
  return bpf_redirect(row->way.oif, 0);
}

/* To a neighbour whose MAC address is not known yet: the kernel asks for it and holds the packet. */
static __noinline int tc_leave_by_neighbour(const struct bpf_fib_lookup* fib, int v6) {
  struct bpf_redir_neigh next = {.nh_family = fib->family};
  if (v6) {
    __builtin_memcpy(next.ipv6_nh, fib->ipv6_dst, 16);
  } else {
    next.ipv4_nh = fib->ipv4_dst;
  }
  return bpf_redirect_neigh(fib->ifindex, &next, sizeof next, 0);
}

#include "ebpf/bpf/tc_tunnel.h"

/* Rewrites and sends on. A row whose way is old asks the routes again and keeps the answer. */
KL_INLINE int tc_forward(struct __sk_buff* skb, struct kl_packet* packet, struct row* row, __u32 now, int egress,
                         int v6) {
  enum route_kind way = row->flags & KL_CT_NODE ? ROUTE_NODE : ROUTE_KNOWN;
  struct bpf_fib_lookup* fib = NULL;
  /* What the node itself sends is on its way already, unless its destination changes. */
  int wrapped = row->flags & KL_CT_TUNNEL;
  int reroute = !egress || wrapped || !kl_same_addr(&packet->flow.dst, &row->to_dst);
  if (reroute && !route_is_fresh(row, now)) {
    struct scratch* scratch = bpf_map_lookup_elem(&scratch_of_cpu, &zero_row);
    if (!scratch) {
      return TC_DROP;
    }
    route_ends(row, v6, &scratch->onward);
    scratch->onward.protocol = packet->flow.protocol;
    fib = &scratch->fib;
    way = route_find(skb, &scratch->onward, skb->ifindex, 0, now, v6, fib, row);
    /* An ICMP error uses the row of the flow it is about, and has none itself. */
    if ((way == ROUTE_KNOWN || way == ROUTE_NODE) && !packet->icmp_type) {
      connection_store(&packet->flow, row, 0, now, v6);
    }
  }
  __u32 room = wrapped ? KL_OUTER(v6) : 0;
  if (reroute && way == ROUTE_KNOWN && row->way.mtu && tc_length_out(skb, packet) + room > row->way.mtu) {
    (void)tc_drop(skb, packet, KL_TOO_BIG, row->rest.service, egress);
    return tc_error(skb, packet, ERROR_TOO_BIG, row->way.mtu - room, egress, v6);
  }
  if (wrapped) {
    return tc_leave_wrapped(skb, packet, row, way, fib, v6);
  }
  if (!tc_rewrite(skb, packet, row, v6)) {
    return tc_drop(skb, packet, KL_DROP_MALFORMED, row->rest.service, egress);
  }
  if (!reroute || way == ROUTE_NODE || way == ROUTE_STACK) {
    return TC_NEXT;
  }
  if (way == ROUTE_NO_NEIGHBOUR && fib) {
    return tc_leave_by_neighbour(fib, v6);
  }
  return tc_leave(skb, packet, row, egress, v6);
}

#include "ebpf/bpf/tc_icmp.h"

KL_INLINE int tc_parse(struct __sk_buff* skb, int v6, struct kl_packet* packet) {
  int parsed = kl_parse(TC_DATA(skb), TC_END(skb), v6, packet);
  if (__builtin_expect(parsed != KL_SHORT, 1)) {
    return parsed;
  }
  __builtin_memset(packet, 0, sizeof *packet);
  __u32 wanted = skb->len < KL_MAX_L4 + 64 ? skb->len : KL_MAX_L4 + 64;
  if (bpf_skb_pull_data(skb, wanted)) {
    return KL_FOREIGN;
  }
  return kl_parse(TC_DATA(skb), TC_END(skb), v6, packet);
}

KL_INLINE int tc_has_ports(__u8 protocol) {
  return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

/* A packet that came by another node, for an endpoint of this one. */
KL_INLINE int tc_wrapped(struct __sk_buff* skb, struct kl_packet* packet, __u32 now, int v6) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_of_cpu, &zero_row);
  if (!scratch || !(v6 ? tc_unwrap6(skb, packet) : tc_unwrap4(skb, packet))) {
    return tc_drop(skb, packet, KL_DROP_TUNNEL, 0, 0);
  }
  __builtin_memset(packet, 0, sizeof *packet);
  if (tc_parse(skb, v6, packet) != KL_PARSED) {
    return tc_drop(skb, packet, KL_DROP_MALFORMED, 0, 0);
  }
  count(KL_UNWRAPPED);
  if (packet->flow.protocol == (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP)) {
    return v6 ? tc_icmp6(skb, packet, 0) : tc_icmp4(skb, packet, 0);
  }
  if (!tc_has_ports(packet->flow.protocol)) {
    return tc_drop(skb, packet, KL_DROP_MALFORMED, 0, 0);
  }
  if (packet->fragment && !fragment_ports(packet)) {
    return tc_drop(skb, packet, KL_DROP_FRAGMENT, 0, 0);
  }
  if (packet->flow.protocol == IPPROTO_SCTP && packet->flow.dport != scratch->tunnel.endpoint_port) {
    return tc_drop(skb, packet, KL_DROP_SCTP_PORT, 0, 0);
  }
  if (!(v6 ? tc_unwrapped_flow6(now) : tc_unwrapped_flow4(now))) {
    return tc_drop(skb, packet, KL_DROP_NAT_PORTS, 0, 0);
  }
  return tc_forward(skb, packet, &scratch->row, now, 0, v6);
}

/* In tc_index: on its way in this packet was found to be of no service, so it need not be looked at on its way out. Of
 * TCP alone: nothing that is taken out of a TCP packet keeps its sk_buff, as what is taken out of a tunnel's does. */
#define TC_STRANGER 0x6b6c

/* Nobody but the stack knows what to do with a broken packet; it drops and counts it. */
KL_INLINE int tc_packet(struct __sk_buff* skb, enum kl_from from, int egress, int v6) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_of_cpu, &zero_row);
  if (!scratch) {
    return TC_NEXT;
  }
  struct kl_packet* packet = &scratch->packet;
  struct row* row = &scratch->row;
  __builtin_memset(packet, 0, sizeof *packet);
  if (tc_parse(skb, v6, packet) != KL_PARSED) {
    return TC_NEXT;
  }
  __u8 protocol = packet->flow.protocol;
  if (protocol == (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP)) {
    return v6 ? tc_icmp6(skb, packet, egress) : tc_icmp4(skb, packet, egress);
  }
  if (!tc_has_ports(protocol)) {
    return TC_NEXT;
  }
  if (__builtin_expect(packet->fragment, 0) && !fragment_ports(packet)) {
    return TC_NEXT;
  }

  __u32 now = time_now();
  if (from == KL_FROM_OUTSIDE && protocol == IPPROTO_UDP && __builtin_expect(tc_is_wrapped(packet, v6), 0)) {
    return tc_wrapped(skb, packet, now, v6);
  }
  if (!known_flow(packet, now, v6, row)) {
    switch (v6 ? start_flow_tc6(skb, packet, from, now, row) : start_flow_tc4(skb, packet, from, now, row)) {
      case CHOICE_FORWARD:
        break;
      case CHOICE_REJECT:
        (void)tc_drop(skb, packet, KL_REJECTED, row->rest.service, egress);
        return tc_error(skb, packet, ERROR_UNREACHABLE, 0, egress, v6);
      case CHOICE_DROP:
        return tc_drop(skb, packet, row->rest.backend, row->rest.service, egress);
      default:
        if (!egress && protocol == IPPROTO_TCP) {
          skb->tc_index = TC_STRANGER;
        }
        return TC_NEXT;
    }
  }
  return tc_forward(skb, packet, row, now, egress, v6);
}

KL_INLINE int tc_any(struct __sk_buff* skb, enum kl_from from, int egress) {
  if (skb->tc_index == TC_STRANGER) {
    if (egress) {
      return TC_NEXT;
    }
    skb->tc_index = 0;
  }
  if (skb->protocol == __builtin_bswap16(ETH_P_IP)) {
    return tc_packet(skb, from, egress, 0);
  }
  if (skb->protocol == __builtin_bswap16(ETH_P_IPV6)) {
    return tc_packet(skb, from, egress, 1);
  }
  return TC_NEXT;
}

SEC("tc")
int pod_ingress(struct __sk_buff* skb) {
  return tc_any(skb, KL_FROM_POD, 0);
}

SEC("tc")
int uplink_ingress(struct __sk_buff* skb) {
  return tc_any(skb, KL_FROM_OUTSIDE, 0);
}

/* What leaves the node: its own packets, and replies of its own processes. */
SEC("tc")
int node_egress(struct __sk_buff* skb) {
  return tc_any(skb, KL_FROM_NODE, 1);
}

#endif
