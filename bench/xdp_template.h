// SPDX-License-Identifier: Apache-2.0
// What xdp_bench tells its harness in the kernel.
#pragma once

#include <linux/types.h>

#define PACKET 64

struct bench_control {
  unsigned char packet[PACKET]; /* Ethernet, IPv4 or IPv6 cut to 64 bytes, TCP */
  __u64 count;
  __u32 flows;    /* so many source ports and addresses, in turn */
  __u32 services; /* so many destination addresses, at random */
};
