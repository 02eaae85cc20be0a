/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* A flow as its packets name it. Freestanding C: for BPF programs, for engines in user space, and for tests. */
#ifndef KEELSON_PACKET_FLOW_H
#define KEELSON_PACKET_FLOW_H

#include <linux/types.h>

#define KL_INLINE static inline __attribute__((always_inline, unused))

/* Both families; IPv4 as ::ffff:a.b.c.d: 0, 0, htonl(0xffff), the address. Words in network order. */
struct kl_addr {
  __u32 word[4];
};

struct kl_flow {
  struct kl_addr src, dst;
  __be16 sport, dport; /* ICMP: 0 */
  __u8 protocol;
  __u8 zero[3];
};

#define KL_MAPPED_WORD __builtin_bswap32(0x0000ffffu) /* both byte orders we build for are little */

KL_INLINE struct kl_addr kl_mapped(__be32 v4) {
  struct kl_addr address = {{0, 0, KL_MAPPED_WORD, v4}};
  return address;
}

KL_INLINE int kl_same_addr(const struct kl_addr* a, const struct kl_addr* b) {
  return a->word[3] == b->word[3] && a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2];
}

KL_INLINE int kl_no_addr(const struct kl_addr* a) {
  return !(a->word[0] | a->word[1] | a->word[2] | a->word[3]);
}

/* Whether no router would take a packet from `src` to `dst` off a link (Linux: martians; RFC 1812 5.3.7, RFC 4291 2.5):
 * from nobody, from or to a loopback address, from a group or from everybody. IPv4 addresses have no business in an
 * IPv6 header: here they would be taken for those of IPv4. */
KL_INLINE int kl_is_martian(const struct kl_addr* src, const struct kl_addr* dst, int v6) {
  if (v6) {
    const __u32 but_one = ~__builtin_bswap32(1);
    int from_low = !(src->word[0] | src->word[1]), to_low = !(dst->word[0] | dst->word[1]);
    return (src->word[0] & 0xff) == 0xff || (from_low && src->word[2] == KL_MAPPED_WORD) ||
           (from_low && !src->word[2] && !(src->word[3] & but_one)) || (to_low && dst->word[2] == KL_MAPPED_WORD) ||
           (to_low && !dst->word[2] && !(dst->word[3] & but_one));
  }
  __u8 first = (__u8)src->word[3];
  return first == 0 || first == 127 || (first >= 224 && first < 240) || src->word[3] == 0xffffffffu ||
         (__u8)dst->word[3] == 127;
}

/* What the other side's packets look like. */
KL_INLINE void kl_reverse(const struct kl_flow* flow, struct kl_flow* reverse) {
  reverse->src = flow->dst;
  reverse->dst = flow->src;
  reverse->sport = flow->dport;
  reverse->dport = flow->sport;
  reverse->protocol = flow->protocol;
  reverse->zero[0] = reverse->zero[1] = reverse->zero[2] = 0;
}

/* Bob Jenkins' lookup3, as far as needed: two words of hash from the flow's. `seed` is secret where rows are chosen by
 * it, so that nobody can fill one bucket on purpose, and fixed where nodes must agree. */
struct kl_hash {
  __u32 first, second;
};

KL_INLINE __u32 kl_rol(__u32 word, int by) {
  return word << by | word >> (32 - by);
}

KL_INLINE void kl_hash_mix(__u32* a, __u32* b, __u32* c) {
  *a -= *c, *a ^= kl_rol(*c, 4), *c += *b;
  *b -= *a, *b ^= kl_rol(*a, 6), *a += *c;
  *c -= *b, *c ^= kl_rol(*b, 8), *b += *a;
  *a -= *c, *a ^= kl_rol(*c, 16), *c += *b;
  *b -= *a, *b ^= kl_rol(*a, 19), *a += *c;
  *c -= *b, *c ^= kl_rol(*b, 4), *b += *a;
}

KL_INLINE void kl_hash_final(__u32* a, __u32* b, __u32* c) {
  *c ^= *b, *c -= kl_rol(*b, 14);
  *a ^= *c, *a -= kl_rol(*c, 11);
  *b ^= *a, *b -= kl_rol(*a, 25);
  *c ^= *b, *c -= kl_rol(*b, 16);
  *a ^= *c, *a -= kl_rol(*c, 4);
  *b ^= *a, *b -= kl_rol(*a, 14);
  *c ^= *b, *c -= kl_rol(*b, 24);
}

/* `v6` is a constant at each call: IPv4 flows do not pay for words that are always the same. */
KL_INLINE struct kl_hash kl_flow_hash(const struct kl_flow* flow, __u32 seed, int v6) {
  __u32 ports = (__u32)flow->sport << 16 | flow->dport;
  __u32 a = 0xdeadbeef + seed, b = a + flow->protocol, c = a;
  if (v6) {
    a += flow->src.word[0], b += flow->src.word[1], c += flow->src.word[2];
    kl_hash_mix(&a, &b, &c);
    a += flow->dst.word[0], b += flow->dst.word[1], c += flow->dst.word[2];
    kl_hash_mix(&a, &b, &c);
  }
  a += flow->src.word[3], b += flow->dst.word[3], c += ports;
  kl_hash_final(&a, &b, &c);
  struct kl_hash hash = {c, b};
  return hash;
}

/* One of 0 .. many - 1, each as likely. By the high bits: rows of tables are placed by the low ones. */
KL_INLINE __u32 kl_hash_choice(__u32 hash, __u32 many) {
  return (__u32)(((__u64)hash * many) >> 32);
}

#endif
