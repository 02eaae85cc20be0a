/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* From the bytes of an Ethernet frame to its flow. Freestanding C that the BPF verifier accepts: every access is
 * checked against `end`, every loop is bounded. */
#ifndef KEELSON_PACKET_PARSE_H
#define KEELSON_PACKET_PARSE_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include "dataplane/packet/flow.h"

enum kl_parsed {
  KL_PARSED,
  KL_FOREIGN,  /* not a protocol that services have: leave the packet alone */
  KL_SHORT,    /* `end` comes too early: with more bytes at hand it may be parsed */
  KL_MALFORMED /* it contradicts itself */
};

enum kl_fragment_kind { KL_WHOLE, KL_FIRST_FRAGMENT, KL_LATER_FRAGMENT };

#define KL_TCP_FIN 0x01
#define KL_TCP_SYN 0x02
#define KL_TCP_RST 0x04
#define KL_TCP_ACK 0x10

struct kl_packet {
  struct kl_flow flow;
  __u32 fragment_id;
  __u16 l4;     /* where the transport header begins, in bytes from the frame's first; < 512 */
  __u16 length; /* of the IP packet, as its header says */
  __u8 fragment;
  __u8 tcp_flags;
  __u8 ttl;
  __u8 icmp_type; /* of ICMP and ICMPv6 */
};

#define KL_MAX_L4 511
#define KL_MAX_EXTENSION_HEADERS 6

/* The transport header at packet->l4. A later fragment has none. */
KL_INLINE int kl_parse_l4(void* data, void* end, struct kl_packet* packet) {
  if (packet->fragment == KL_LATER_FRAGMENT) {
    return KL_PARSED;
  }
  if (packet->l4 > KL_MAX_L4) {
    return KL_FOREIGN;
  }
  unsigned char* l4 = (unsigned char*)data + packet->l4;
  struct kl_flow* flow = &packet->flow;
  switch (flow->protocol) {
    case IPPROTO_TCP:
      if ((void*)(l4 + 20) > end) {
        return KL_SHORT;
      }
      packet->tcp_flags = l4[13];
      break;
    case IPPROTO_UDP:
      if ((void*)(l4 + 8) > end) {
        return KL_SHORT;
      }
      break;
    case IPPROTO_SCTP:
      if ((void*)(l4 + 12) > end) {
        return KL_SHORT;
      }
      break;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
      if ((void*)(l4 + 8) > end) {
        return KL_SHORT;
      }
      packet->icmp_type = l4[0];
      return KL_PARSED;
    default:
      return KL_FOREIGN;
  }
  flow->sport = *(__be16*)l4;
  flow->dport = *(__be16*)(l4 + 2);
  return KL_PARSED;
}

/* `l3`: where the IPv4 header begins in the frame. */
KL_INLINE int kl_parse_v4(void* data, void* end, __u32 l3, struct kl_packet* packet) {
  struct iphdr* ip = (struct iphdr*)((unsigned char*)data + l3);
  if ((void*)(ip + 1) > end) {
    return KL_SHORT;
  }
  if (ip->version != 4 || ip->ihl < 5) {
    return KL_MALFORMED;
  }
  packet->flow.src = kl_mapped(ip->saddr);
  packet->flow.dst = kl_mapped(ip->daddr);
  packet->flow.protocol = ip->protocol;
  packet->length = __builtin_bswap16(ip->tot_len);
  packet->ttl = ip->ttl;
  packet->l4 = l3 + ip->ihl * 4;
  __u16 fragment = __builtin_bswap16(ip->frag_off) & 0x3fff;
  if (__builtin_expect(fragment != 0, 0)) {
    packet->fragment = fragment & 0x1fff ? KL_LATER_FRAGMENT : KL_FIRST_FRAGMENT;
    packet->fragment_id = ip->id;
  }
  if (packet->length < ip->ihl * 4) {
    return KL_MALFORMED;
  }
  return kl_parse_l4(data, end, packet);
}

KL_INLINE int kl_parse_v6(void* data, void* end, __u32 l3, struct kl_packet* packet) {
  struct ipv6hdr* ip = (struct ipv6hdr*)((unsigned char*)data + l3);
  if ((void*)(ip + 1) > end) {
    return KL_SHORT;
  }
  if (ip->version != 6) {
    return KL_MALFORMED;
  }
  __builtin_memcpy(&packet->flow.src, &ip->saddr, 16);
  __builtin_memcpy(&packet->flow.dst, &ip->daddr, 16);
  packet->length = __builtin_bswap16(ip->payload_len) + sizeof *ip;
  packet->ttl = ip->hop_limit;
  __u8 next = ip->nexthdr;
  __u32 at = l3 + sizeof *ip;
  for (int i = 0; i < KL_MAX_EXTENSION_HEADERS; i++) {
    if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS && next != IPPROTO_FRAGMENT &&
        next != IPPROTO_AH) {
      break;
    }
    if (at > KL_MAX_L4) {
      return KL_FOREIGN;
    }
    unsigned char* header = (unsigned char*)data + at;
    if ((void*)(header + 8) > end) {
      return KL_SHORT;
    }
    if (next == IPPROTO_FRAGMENT) {
      __u16 fragment = __builtin_bswap16(*(__be16*)(header + 2));
      packet->fragment_id = *(__u32*)(header + 4);
      if (fragment & 0xfff8) {
        packet->fragment = KL_LATER_FRAGMENT;
        next = header[0];
        at += 8;
        break;
      }
      if (fragment & 1) {
        packet->fragment = KL_FIRST_FRAGMENT;
      }
      at += 8;
    } else {
      at += next == IPPROTO_AH ? (header[1] + 2) * 4 : (header[1] + 1) * 8;
    }
    next = header[0];
  }
  packet->flow.protocol = next;
  packet->l4 = at;
  return kl_parse_l4(data, end, packet);
}

/* The frame at `data` .. `end`; `packet` is all zero before. `v6` is a constant at each call. The Ethernet type has
 * been looked at by the caller. */
KL_INLINE int kl_parse(void* data, void* end, int v6, struct kl_packet* packet) {
  return v6 ? kl_parse_v6(data, end, ETH_HLEN, packet) : kl_parse_v4(data, end, ETH_HLEN, packet);
}

#endif
