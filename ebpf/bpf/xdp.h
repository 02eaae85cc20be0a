/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Packets at XDP, on uplinks: flows from outside that leave by the link they came from, to backends of other nodes. All
 * else is passed on to tc. */
#ifndef KEELSON_EBPF_XDP_H
#define KEELSON_EBPF_XDP_H

#include <linux/tcp.h>
#include <linux/udp.h>

#include "dataplane/packet/checksum.h"
#include "ebpf/bpf/flows.h"
#include "ebpf/bpf/xdp_tunnel.h"

KL_INLINE int xdp_rewrite_l4(void* l4, void* end, const struct kl_packet* packet, const struct row* row,
                             kl_sum addresses) {
  const struct kl_flow* flow = &packet->flow;
  __u32 ports_from = (__u32)flow->dport << 16 | flow->sport, ports_to = (__u32)row->to_dport << 16 | row->to_sport;
  kl_sum difference = kl_sum_replace(addresses, ports_from, ports_to);
  if (flow->protocol == IPPROTO_TCP) {
    struct tcphdr* tcp = l4;
    if ((void*)(tcp + 1) > end) {
      return 0;
    }
    tcp->check = kl_checksum_update(tcp->check, difference);
  } else {
    struct udphdr* udp = l4;
    if ((void*)(udp + 1) > end) {
      return 0;
    }
    udp->check = kl_udp_checksum_update(udp->check, difference);
  }
  *(__be16*)l4 = row->to_sport;
  *(__be16*)(l4 + 2) = row->to_dport;
  return 1;
}

KL_INLINE int xdp_forward(struct xdp_md* ctx, const struct kl_packet* packet, const struct row* row, int v6) {
  const struct kl_flow* flow = &packet->flow;
  void *data = (void*)(long)ctx->data, *end = (void*)(long)ctx->data_end;
  struct ethhdr* eth = data;
  void* l4 = data + (packet->l4 & KL_MAX_L4);
  if ((void*)(eth + 1) > end) {
    return XDP_PASS;
  }
  kl_sum addresses = kl_sum_replace_addr(0, &flow->src, &row->to_src, v6);
  addresses = kl_sum_replace_addr(addresses, &flow->dst, &row->to_dst, v6);
  /* First, because it alone can still fail. */
  if (!xdp_rewrite_l4(l4, end, packet, row, addresses)) {
    return XDP_PASS;
  }
  if (v6) {
    struct ipv6hdr* ip = data + ETH_HLEN;
    if ((void*)(ip + 1) > end) {
      return XDP_PASS;
    }
    __builtin_memcpy(&ip->saddr, &row->to_src, 16);
    __builtin_memcpy(&ip->daddr, &row->to_dst, 16);
    ip->hop_limit--;
  } else {
    struct iphdr* ip = data + ETH_HLEN;
    if ((void*)(ip + 1) > end) {
      return XDP_PASS;
    }
    __be16 before = *(__be16*)&ip->ttl;
    ip->ttl--;
    ip->check = kl_checksum_update(ip->check, kl_sum_replace(addresses, before, *(__be16*)&ip->ttl));
    ip->saddr = row->to_src.word[3];
    ip->daddr = row->to_dst.word[3];
  }
  __builtin_memcpy(eth->h_dest, row->way.dmac, 6);
  __builtin_memcpy(eth->h_source, row->way.smac, 6);
  return XDP_TX;
}

/* Asks the routes again; once a second for each flow. */
KL_INLINE int xdp_ask_route(struct xdp_md* ctx, const struct kl_packet* packet, struct row* row, __u32 now, int v6) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_of_cpu, &zero_row);
  if (!scratch) {
    return 0;
  }
  route_ends(row, v6, &scratch->onward);
  scratch->onward.protocol = packet->flow.protocol;
  __u32 in = ctx->ingress_ifindex;
  if (route_find(ctx, &scratch->onward, in, packet->length, now, v6, &scratch->fib, row) != ROUTE_KNOWN) {
    return 0;
  }
  connection_store(&packet->flow, row, 0, now, v6);
  return 1;
}
__noinline int xdp_ask_route4(struct xdp_md* ctx, const struct kl_packet* packet, struct row* row, __u32 now) {
  return packet && row ? xdp_ask_route(ctx, packet, row, now, 0) : 0;
}
__noinline int xdp_ask_route6(struct xdp_md* ctx, const struct kl_packet* packet, struct row* row, __u32 now) {
  return packet && row ? xdp_ask_route(ctx, packet, row, now, 1) : 0;
}

KL_INLINE int xdp_packet(struct xdp_md* ctx, int v6) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_of_cpu, &zero_row);
  if (!scratch) {
    return XDP_PASS;
  }
  struct kl_packet* packet = &scratch->packet;
  struct row* row = &scratch->row;
  __builtin_memset(packet, 0, sizeof *packet);
  if (kl_parse((void*)(long)ctx->data, (void*)(long)ctx->data_end, v6, packet) != KL_PARSED) {
    return XDP_PASS;
  }
  __u8 protocol = packet->flow.protocol;
  if ((protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) || packet->fragment || packet->ttl <= 1) {
    return XDP_PASS;
  }
  __u32 now = time_now(), in = ctx->ingress_ifindex;
  if (!known_flow(packet, now, v6, row)) {
    int result = v6 ? start_flow_xdp6(ctx, packet, now, row) : start_flow_xdp4(ctx, packet, now, row);
    if (result == CHOICE_DROP) {
      count_end(row->rest.backend, &packet->flow, row->rest.service, KL_WHERE(KL_AT_XDP, in));
      return XDP_DROP;
    }
    if (result != CHOICE_FORWARD) {
      return XDP_PASS;
    }
  }
  if (__builtin_expect(!route_is_fresh(row, now), 0) &&
      !(v6 ? xdp_ask_route6(ctx, packet, row, now) : xdp_ask_route4(ctx, packet, row, now))) {
    return XDP_PASS;
  }
  int wrapped = row->flags & KL_CT_TUNNEL;
  __u32 length = packet->length + (wrapped ? KL_OUTER(v6) : 0);
  if (row->way.oif != in || length > row->way.mtu) {
    return XDP_PASS;
  }
  if (wrapped) {
    return xdp_wrap(ctx, packet, row, v6);
  }
  return xdp_forward(ctx, packet, row, v6);
}

KL_INLINE int xdp_any(struct xdp_md* ctx) {
  struct ethhdr* eth = (void*)(long)ctx->data;
  if ((void*)(eth + 1) > (void*)(long)ctx->data_end) {
    return XDP_PASS;
  }
  if (eth->h_proto == __builtin_bswap16(ETH_P_IP)) {
    return xdp_packet(ctx, 0);
  }
  if (eth->h_proto == __builtin_bswap16(ETH_P_IPV6)) {
    return xdp_packet(ctx, 1);
  }
  return XDP_PASS;
}

SEC("xdp")
int uplink_xdp(struct xdp_md* ctx) {
  return xdp_any(ctx);
}

#endif
