/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Makes a flow that the stack translates known as one that nothing is done with: its row is in the way of a flow of
 * ours that would get the same port. The daemon runs it by BPF_PROG_TEST_RUN; it is attached nowhere. The packet is an
 * Ethernet header of zeros, the kl_flow as its replies come in, and a byte of kl_ct_state. */
#ifndef KEELSON_EBPF_KEEP_H
#define KEELSON_EBPF_KEEP_H

#include "ebpf/bpf/connections.h"

KL_INLINE int keep(const struct kl_flow* flow, __u8 state, int v6) {
  struct row row = {.to_src = flow->src,
                    .to_dst = flow->dst,
                    .to_sport = flow->sport,
                    .to_dport = flow->dport,
                    .state = state,
                    .flags = KL_CT_REPLY};
  __u32 now = time_now();
  row.rest.seen = now;
  return connection_store(flow, &row, CT_IF_FREE, now, v6);
}

/* Returns 0 if a flow of ours has the port. */
SEC("tc")
int keep_flow(struct __sk_buff* skb) {
  struct kl_flow flow = {};
  __u8 state = KL_CT_NEW;
  if (bpf_skb_load_bytes(skb, KL_FLOW_AT, &flow, sizeof flow) != 0 ||
      bpf_skb_load_bytes(skb, KL_FLOW_AT + sizeof flow, &state, sizeof state) != 0) {
    return 0;
  }
  int v4 = flow.src.word[2] == KL_MAPPED_WORD && !flow.src.word[0] && !flow.src.word[1];
  return v4 ? keep(&flow, state, 0) : keep(&flow, state, 1);
}

#endif
