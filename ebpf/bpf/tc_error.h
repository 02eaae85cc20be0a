/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* ICMP errors that the node itself answers with: nobody serves this, or the packet is too big (RFC 792, 1191, 4443). */
#ifndef KEELSON_EBPF_TC_ERROR_H
#define KEELSON_EBPF_TC_ERROR_H

#include "dataplane/packet/icmp.h"

enum error_kind { ERROR_UNREACHABLE, ERROR_TOO_BIG };

#define ERROR_QUOTE4 (20 + 20) /* a header without options, and TCP's: its checksum's place must not be cut off */
#define ERROR_QUOTE6 (40 + 20)

/* Writes the headers in front of `quoted` bytes, a multiple of 4. Zero bytes behind them do not change the sum. */
KL_INLINE int tc_error_headers4(struct __sk_buff* skb, const struct kl_packet* packet, enum error_kind kind, __u32 info,
                                __u32 quoted) {
  struct {
    struct iphdr ip;
    struct kl_icmp icmp;
  } headers = {};
  __u8 quote[ERROR_QUOTE4] = {};
  KL_OPAQUE(quoted);
  if (quoted > ERROR_QUOTE4 || quoted < 28) {
    return 0;
  }
  if (bpf_skb_load_bytes(skb, ETH_HLEN + sizeof headers, quote, quoted)) {
    return 0;
  }
  headers.ip.version = 4;
  headers.ip.ihl = 5;
  headers.ip.ttl = 64;
  headers.ip.protocol = IPPROTO_ICMP;
  headers.ip.tot_len = __builtin_bswap16(sizeof headers + quoted);
  headers.ip.saddr = packet->flow.dst.word[3];
  headers.ip.daddr = packet->flow.src.word[3];
  headers.ip.check = (__u16)~kl_sum_fold(bpf_csum_diff(NULL, 0, (__be32*)&headers.ip, sizeof headers.ip, 0));
  headers.icmp.type = KL_ICMP_UNREACHABLE;
  headers.icmp.code = kind == ERROR_TOO_BIG ? KL_ICMP_CODE_TOO_BIG : KL_ICMP_CODE_PORT;
  if (kind == ERROR_TOO_BIG) {
    headers.icmp.info = __builtin_bswap32(info);
  }
  __s64 sum = bpf_csum_diff(NULL, 0, (__be32*)&headers.icmp, sizeof headers.icmp, 0);
  headers.icmp.checksum = (__u16)~kl_sum_fold(bpf_csum_diff(NULL, 0, (__be32*)quote, sizeof quote, sum));
  return !bpf_skb_store_bytes(skb, ETH_HLEN, &headers, sizeof headers, 0);
}

KL_INLINE int tc_error_headers6(struct __sk_buff* skb, const struct kl_packet* packet, enum error_kind kind, __u32 info,
                                __u32 quoted) {
  struct {
    struct ipv6hdr ip;
    struct kl_icmp icmp;
  } headers = {};
  __u8 quote[ERROR_QUOTE6] = {};
  KL_OPAQUE(quoted);
  if (quoted > ERROR_QUOTE6 || quoted < 48) {
    return 0;
  }
  if (bpf_skb_load_bytes(skb, ETH_HLEN + sizeof headers, quote, quoted)) {
    return 0;
  }
  __u32 length = sizeof headers.icmp + quoted;
  headers.ip.version = 6;
  headers.ip.hop_limit = 64;
  headers.ip.nexthdr = IPPROTO_ICMPV6;
  headers.ip.payload_len = __builtin_bswap16(length);
  __builtin_memcpy(&headers.ip.saddr, &packet->flow.dst, 16);
  __builtin_memcpy(&headers.ip.daddr, &packet->flow.src, 16);
  headers.icmp.type = kind == ERROR_TOO_BIG ? KL_ICMPV6_TOO_BIG : KL_ICMPV6_UNREACHABLE;
  headers.icmp.code = kind == ERROR_TOO_BIG ? 0 : KL_ICMPV6_CODE_PORT;
  if (kind == ERROR_TOO_BIG) {
    headers.icmp.info = __builtin_bswap32(info);
  }
  __s64 sum = bpf_csum_diff(NULL, 0, (__be32*)&headers.ip.saddr, 32, __builtin_bswap32(length));
  sum = bpf_csum_diff(NULL, 0, (__be32*)&headers.icmp, sizeof headers.icmp, sum + __builtin_bswap32(IPPROTO_ICMPV6));
  headers.icmp.checksum = (__u16)~kl_sum_fold(bpf_csum_diff(NULL, 0, (__be32*)quote, sizeof quote, sum));
  return !bpf_skb_store_bytes(skb, ETH_HLEN, &headers, sizeof headers, 0);
}

/* An address of one host, as senders have. */
KL_INLINE int is_one_host(const struct kl_addr* address, int v6) {
  __u8 first = *(const __u8*)&address->word[v6 ? 0 : 3];
  return v6 ? first != 0xff && !kl_no_addr(address) : first != 0 && first < 224;
}

/* Turns the packet into the error that tells its sender, and sends it back. What no error may answer is dropped: later
 * fragments, other errors, senders that are no host (RFC 1122 3.2.2, RFC 4443 2.4), packets with options, segments that
 * are cut only later. */
KL_INLINE int tc_answer(struct __sk_buff* skb, const struct kl_packet* packet, enum error_kind kind, __u32 info,
                        int egress, int v6) {
  __u32 header = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
  /* IPv6's fragments have a header more, and no checksum that is still to be computed. */
  __u32 before = header + (v6 && packet->fragment == KL_FIRST_FRAGMENT ? 8 : 0);
  if (packet->fragment == KL_LATER_FRAGMENT || packet->icmp_type || packet->l4 != ETH_HLEN + before ||
      !is_one_host(&packet->flow.src, v6)) {
    return TC_DROP;
  }
  __u32 quoted = skb->len - ETH_HLEN, most = v6 ? ERROR_QUOTE6 : ERROR_QUOTE4;
  if (quoted > most) {
    quoted = most;
  }
  quoted &= ~3u;
  __u8 source[6], destination[6];
  void* data = TC_DATA(skb);
  struct ethhdr* eth = data;
  if ((void*)(eth + 1) > TC_END(skb)) {
    return TC_DROP;
  }
  __builtin_memcpy(source, eth->h_source, 6);
  __builtin_memcpy(destination, eth->h_dest, 6);
  if (bpf_skb_change_tail(skb, ETH_HLEN + quoted, 0)) {
    return TC_DROP;
  }
  if (bpf_skb_adjust_room(skb, header + 8, BPF_ADJ_ROOM_MAC, 0)) {
    return TC_DROP;
  }
  if (!(v6 ? tc_error_headers6(skb, packet, kind, info, quoted) : tc_error_headers4(skb, packet, kind, info, quoted))) {
    return TC_DROP;
  }
  if (egress) {
    bpf_skb_store_bytes(skb, 0, source, 6, 0);
    return bpf_redirect(skb->ifindex, BPF_F_INGRESS);
  }
  bpf_skb_store_bytes(skb, 0, source, 6, 0);
  bpf_skb_store_bytes(skb, 6, destination, 6, 0);
  return bpf_redirect(skb->ifindex, 0);
}

/* Of their own, for their stack. `info`: the MTU. */
__noinline int tc_error4(struct __sk_buff* skb, const struct kl_packet* packet, __u32 kind, __u32 info, __u32 egress) {
  return packet ? tc_answer(skb, packet, kind, info, egress, 0) : TC_DROP;
}
__noinline int tc_error6(struct __sk_buff* skb, const struct kl_packet* packet, __u32 kind, __u32 info, __u32 egress) {
  return packet ? tc_answer(skb, packet, kind, info, egress, 1) : TC_DROP;
}
KL_INLINE int tc_error(struct __sk_buff* skb, const struct kl_packet* packet, enum error_kind kind, __u32 info,
                       int egress, int v6) {
  int verdict = v6 ? tc_error6(skb, packet, kind, info, egress) : tc_error4(skb, packet, kind, info, egress);
  return verdict == TC_DROP ? tc_drop(skb, packet, KL_DROP_UNANSWERED, 0, egress) : verdict;
}

#endif
