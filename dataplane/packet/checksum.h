/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The Internet checksum (RFC 1071) and how it changes with what it covers (RFC 1624). Freestanding C. */
#ifndef KEELSON_PACKET_CHECKSUM_H
#define KEELSON_PACKET_CHECKSUM_H

#include "dataplane/packet/flow.h"

/* A sum that is not folded yet. Add differences to it, then fold once. */
typedef __u64 kl_sum;

KL_INLINE kl_sum kl_sum_replace(kl_sum sum, __u32 from, __u32 to) {
  return sum + (__u32)~from + to;
}

KL_INLINE kl_sum kl_sum_replace_addr(kl_sum sum, const struct kl_addr* from, const struct kl_addr* to, int v6) {
  sum = kl_sum_replace(sum, from->word[3], to->word[3]);
  if (!v6) {
    return sum;
  }
  for (int i = 0; i < 3; i++) {
    sum = kl_sum_replace(sum, from->word[i], to->word[i]);
  }
  return sum;
}

/* 32 bits of it, as the kernel's __wsum. */
KL_INLINE __u32 kl_sum_fold32(kl_sum sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  return (__u32)sum;
}

KL_INLINE __u16 kl_sum_fold(kl_sum sum) {
  __u32 folded = kl_sum_fold32(sum);
  folded = (folded & 0xffff) + (folded >> 16);
  folded = (folded & 0xffff) + (folded >> 16);
  return (__u16)folded;
}

/* A checksum field after what it covers changed by `difference`. */
KL_INLINE __u16 kl_checksum_update(__u16 checksum, kl_sum difference) {
  return (__u16)~kl_sum_fold(difference + (__u16)~checksum);
}

/* The same for UDP, whose 0 means "none": none stays none, and a computed 0 is sent as 0xffff (RFC 768). */
KL_INLINE __u16 kl_udp_checksum_update(__u16 checksum, kl_sum difference) {
  if (checksum == 0) {
    return 0;
  }
  __u16 updated = kl_checksum_update(checksum, difference);
  return updated ? updated : 0xffff;
}

#endif
