// SPDX-License-Identifier: Apache-2.0
// What xdp_bench tells its harness in the kernel.
#pragma once

#include <linux/types.h>

#define PACKET4 64 /* Ethernet, IPv4, TCP */
#define PACKET6 80 /* Ethernet, IPv6, TCP */

struct bench_control {
  unsigned char packet[PACKET6];
  __u64 count;
  __u32 flows;    /* so many source ports and addresses, in turn */
  __u32 services; /* so many destination addresses, at random */
  __u32 v6;
  __u32 wrapped; /* the program makes it longer */
  __u32 forget;  /* how many of the buckets below lose their rows before each packet */
  __u32 buckets[2];
};
