/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Takes a row of the connection table away under its lock, which user space cannot. The daemon runs it by
 * BPF_PROG_TEST_RUN; it is attached nowhere. The packet is an Ethernet header of zeros and the kl_flow of the row. */
#ifndef KEELSON_EBPF_FORGET_H
#define KEELSON_EBPF_FORGET_H

#include <linux/in.h>

#include "ebpf/bpf/connections.h"

/* Returns how many rows there were. */
SEC("tc")
int forget_flow(struct __sk_buff* skb) {
  struct kl_flow flow = {};
  if (bpf_skb_load_bytes(skb, KL_FLOW_AT, &flow, sizeof flow) != 0) {
    return 0;
  }
  int v4 = flow.src.word[2] == KL_MAPPED_WORD && !flow.src.word[0] && !flow.src.word[1];
  return v4 ? forget4(&flow) : forget6(&flow);
}

#endif
