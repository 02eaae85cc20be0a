/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What is put in front of a packet that goes to the node of its endpoint: IP, UDP, Geneve (RFC 8926) and one option,
 * which names the endpoint. The packet itself stays as the client sent it, to the service's address: the endpoint's
 * node translates it, and its reply, which goes straight to the client. Freestanding C. */
#ifndef KEELSON_PACKET_GENEVE_H
#define KEELSON_PACKET_GENEVE_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include "dataplane/packet/checksum.h"

/* One of the classes for experiments, 0xff00 to 0xffff. The highest bit of the type: who does not know it drops. */
#define KL_GENEVE_CLASS __builtin_bswap16(0xff4b)
#define KL_GENEVE_ENDPOINT 0x81

struct kl_geneve {
  __u8 options; /* version 0 in two bits, then how many words of options */
  __u8 flags;
  __be16 protocol; /* Ethernet type of what is inside */
  __be32 network;  /* 0 */
  __be16 option_class;
  __u8 option_type;
  __u8 option_words;
};

struct kl_outer4 {
  struct iphdr ip;
  struct udphdr udp;
  struct kl_geneve geneve;
  __be32 endpoint;
  __be16 port;
  __u16 zero;
};

struct kl_outer6 {
  struct ipv6hdr ip;
  struct udphdr udp;
  struct kl_geneve geneve;
  struct kl_addr endpoint;
  __be16 port;
  __u16 zero;
};

#define KL_OUTER(v6) ((v6) ? sizeof(struct kl_outer6) : sizeof(struct kl_outer4))

/* A word of something else. */
typedef __u32 __attribute__((may_alias)) kl_word;
typedef __u16 __attribute__((may_alias)) kl_half;

struct kl_tunnel {
  struct kl_addr from, to; /* nodes */
  struct kl_addr endpoint;
  __be16 endpoint_port;
  __be16 port;   /* where tunnels end: 6081 */
  __be16 source; /* by the flow, so that links and queues share flows (RFC 8926 3.3) */
  __u16 length;  /* of the packet inside */
};

KL_INLINE __be16 kl_tunnel_source(__u32 of_flow) {
  return __builtin_bswap16((__u16)(0xc000 | (of_flow * 0x9e3779b1u) >> 18));
}

KL_INLINE void kl_fill_geneve(struct kl_geneve* geneve, __u32 words, __be16 protocol) {
  geneve->options = (__u8)(words + 1);
  geneve->flags = 0;
  geneve->protocol = protocol;
  geneve->network = 0;
  geneve->option_class = KL_GENEVE_CLASS;
  geneve->option_type = KL_GENEVE_ENDPOINT;
  geneve->option_words = (__u8)words;
}

/* No UDP checksum: IPv4 allows that, the headers and the packet have their own (RFC 8926 3.3). */
KL_INLINE void kl_fill_outer4(struct kl_outer4* outer, const struct kl_tunnel* tunnel) {
  __u16 length = (__u16)(tunnel->length + sizeof *outer);
  __builtin_memset(outer, 0, sizeof *outer);
  outer->ip.version = 4;
  outer->ip.ihl = 5;
  outer->ip.tot_len = __builtin_bswap16(length);
  outer->ip.frag_off = __builtin_bswap16(0x4000);
  outer->ip.ttl = 64;
  outer->ip.protocol = IPPROTO_UDP;
  outer->ip.saddr = tunnel->from.word[3];
  outer->ip.daddr = tunnel->to.word[3];
  kl_sum sum = (kl_sum)tunnel->from.word[3] + tunnel->to.word[3] + __builtin_bswap16(length) +
               __builtin_bswap16(0x4500) + __builtin_bswap16(0x4000) + __builtin_bswap16(64 << 8 | IPPROTO_UDP);
  outer->ip.check = (__u16)~kl_sum_fold(sum);
  outer->udp.source = tunnel->source;
  outer->udp.dest = tunnel->port;
  outer->udp.len = __builtin_bswap16((__u16)(length - sizeof outer->ip));
  kl_fill_geneve(&outer->geneve, 2, __builtin_bswap16(ETH_P_IP));
  outer->endpoint = tunnel->endpoint.word[3];
  outer->port = tunnel->endpoint_port;
}

/* `inside`: the packet's IPv6 header, if TCP, UDP or ICMPv6 with a right checksum follows at once: that sum and the
 * header's say what all its bytes sum up to. NULL: no UDP checksum, which tunnels may leave out (RFC 6935). */
KL_INLINE void kl_fill_outer6(struct kl_outer6* outer, const struct kl_tunnel* tunnel, const struct ipv6hdr* inside) {
  __u32 length = tunnel->length + sizeof *outer - sizeof outer->ip;
  __builtin_memset(outer, 0, sizeof *outer);
  outer->ip.version = 6;
  outer->ip.payload_len = __builtin_bswap16((__u16)length);
  outer->ip.nexthdr = IPPROTO_UDP;
  outer->ip.hop_limit = 64;
  __builtin_memcpy(&outer->ip.saddr, &tunnel->from, 16);
  __builtin_memcpy(&outer->ip.daddr, &tunnel->to, 16);
  outer->udp.source = tunnel->source;
  outer->udp.dest = tunnel->port;
  outer->udp.len = outer->ip.payload_len;
  kl_fill_geneve(&outer->geneve, 5, __builtin_bswap16(ETH_P_IPV6));
  outer->endpoint = tunnel->endpoint;
  outer->port = tunnel->endpoint_port;
  if (!inside) {
    return;
  }
  const kl_word* words = (const kl_word*)outer;
  kl_sum sum = (kl_sum)__builtin_bswap32(length) + __builtin_bswap32(IPPROTO_UDP);
  for (int i = 2; i < (int)(sizeof *outer / 4); i++) {
    sum += words[i]; /* the outer addresses, and all behind them */
  }
  /* Of the header inside, what the transport's checksum does not know. */
  sum += *(const kl_word*)inside;
  sum += ((const kl_half*)inside)[3];
  sum += (__u32)~__builtin_bswap32(inside->nexthdr);
  __u16 check = (__u16)~kl_sum_fold(sum);
  outer->udp.check = check ? check : 0xffff;
}

#endif
