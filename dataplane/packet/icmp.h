/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* ICMP (RFC 792, 1191) and ICMPv6 (RFC 4443), as far as errors go. The kernel's own header for the first needs a libc.
 */
#ifndef KEELSON_PACKET_ICMP_H
#define KEELSON_PACKET_ICMP_H

#include <linux/types.h>

struct kl_icmp {
  __u8 type, code;
  __u16 checksum;
  __be32 info; /* "too big": the MTU, in the low 16 bits for ICMP, in all 32 for ICMPv6 */
};

enum {
  KL_ICMP_UNREACHABLE = 3,
  KL_ICMP_SOURCE_QUENCH = 4,
  KL_ICMP_TIME_EXCEEDED = 11,
  KL_ICMP_PARAMETER_PROBLEM = 12,
  KL_ICMP_CODE_PORT = 3,
  KL_ICMP_CODE_TOO_BIG = 4,
  KL_ICMPV6_UNREACHABLE = 1,
  KL_ICMPV6_TOO_BIG = 2,
  KL_ICMPV6_PARAMETER_PROBLEM = 4,
  KL_ICMPV6_CODE_PORT = 4
};

#endif
