/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Programs that take over from others whose connection table is another one: of another form, or smaller.
 *
 * Links change their program one after the other, and a flow passes more than one of them. So these are put on the
 * links first, and do nothing but call the program that was there (KL_PHASE_FOLLOW). When they are everywhere one store
 * makes them lead: a flow that begins is theirs; any other packet goes to the program before, which knows it or not.
 * Once all that the other table has was copied (store_moved) nothing is called any more, and the plain programs take
 * their place. The loader's part: takeover.h.
 */
#ifndef KEELSON_EBPF_TRANSITION_H
#define KEELSON_EBPF_TRANSITION_H

#include "ebpf/bpf/tc.h"
#include "ebpf/bpf/xdp.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct kl_transition);
} transition KL_MAP;

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, KL_MOVED_ROWS);
  __type(key, __u32);
  __type(value, struct kl_moved);
} moved KL_MAP;

/* What store_moved works with. Not of the CPU: before Linux 6.11 packets come in between, on the CPU that it runs on.
 */
struct storing {
  struct kl_flow flow;
  struct row row, known;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct storing);
} storing KL_MAP;

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, KL_AFTER_COUNT);
  __type(key, __u32);
  __type(value, __u32);
} predecessors_tc KL_MAP;

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} predecessors_xdp KL_MAP;

KL_INLINE __u32 transition_phase(void) {
  const struct kl_transition* now = bpf_map_lookup_elem(&transition, &zero_row);
  return now ? *(volatile const __u32*)&now->phase : KL_PHASE_ALONE;
}

/* Of a packet that has been read: whether it is this program's. Not where the row is a copy: its flow may have ended
 * since and its ports begun another, which the programs before know. That the copy was seen is marked all the same. */
KL_INLINE int is_led(struct scratch* scratch, int v6) {
  struct kl_packet* packet = &scratch->packet;
  __u8 protocol = packet->flow.protocol;
  if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP && protocol != IPPROTO_SCTP) {
    return 1; /* errors are of flows that are here, nearly all */
  }
  if (packet->fragment && !fragment_ports(packet)) {
    return 0;
  }
  /* What is wrapped says itself where it goes. */
  if (tc_is_wrapped(packet, v6) || (protocol == IPPROTO_TCP && begins_flow(packet))) {
    return 1;
  }
  if (connection_find(&packet->flow, state_from(packet), time_now(), v6, &scratch->found)) {
    return !(scratch->found.flags >> KL_CT_COPY_SHIFT);
  }
  return protocol != IPPROTO_TCP && frontend_of(&packet->flow.dst, packet->flow.dport, protocol) != NULL;
}

KL_INLINE int tc_is_led_of(struct __sk_buff* skb, int v6) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_of_cpu, &zero_row);
  if (!scratch) {
    return 0;
  }
  __builtin_memset(&scratch->packet, 0, sizeof scratch->packet);
  return tc_parse(skb, v6, &scratch->packet) != KL_PARSED || is_led(scratch, v6);
}

__noinline int tc_is_led(struct __sk_buff* skb) {
  __u32 phase = transition_phase();
  if (phase != KL_PHASE_LEAD) {
    return phase == KL_PHASE_ALONE;
  }
  if (skb->protocol == __builtin_bswap16(ETH_P_IP)) {
    return tc_is_led_of(skb, 0);
  }
  return skb->protocol != __builtin_bswap16(ETH_P_IPV6) || tc_is_led_of(skb, 1);
}

SEC("tc")
int pod_ingress_after(struct __sk_buff* skb) {
  if (!tc_is_led(skb)) {
    bpf_tail_call(skb, &predecessors_tc, KL_AFTER_POD_INGRESS);
  }
  return tc_any(skb, KL_FROM_POD, 0);
}

SEC("tc")
int uplink_ingress_after(struct __sk_buff* skb) {
  if (!tc_is_led(skb)) {
    bpf_tail_call(skb, &predecessors_tc, KL_AFTER_UPLINK_INGRESS);
  }
  return tc_any(skb, KL_FROM_OUTSIDE, 0);
}

SEC("tc")
int node_egress_after(struct __sk_buff* skb) {
  if (!tc_is_led(skb)) {
    bpf_tail_call(skb, &predecessors_tc, KL_AFTER_NODE_EGRESS);
  }
  return tc_any(skb, KL_FROM_NODE, 1);
}

KL_INLINE int xdp_is_led_of(struct xdp_md* ctx, int v6) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_of_cpu, &zero_row);
  if (!scratch) {
    return 0;
  }
  struct kl_packet* packet = &scratch->packet;
  __builtin_memset(packet, 0, sizeof *packet);
  return kl_parse((void*)(long)ctx->data, (void*)(long)ctx->data_end, v6, packet) != KL_PARSED || is_led(scratch, v6);
}

__noinline int xdp_is_led(struct xdp_md* ctx) {
  __u32 phase = transition_phase();
  struct ethhdr* eth = (void*)(long)ctx->data;
  if (phase != KL_PHASE_LEAD || (void*)(eth + 1) > (void*)(long)ctx->data_end) {
    return phase == KL_PHASE_ALONE;
  }
  if (eth->h_proto == __builtin_bswap16(ETH_P_IP)) {
    return xdp_is_led_of(ctx, 0);
  }
  return eth->h_proto != __builtin_bswap16(ETH_P_IPV6) || xdp_is_led_of(ctx, 1);
}

SEC("xdp")
int uplink_xdp_after(struct xdp_md* ctx) {
  if (!xdp_is_led(ctx)) {
    bpf_tail_call(ctx, &predecessors_xdp, 0);
  }
  return xdp_any(ctx);
}

/* Over a copy that is less sure, or as sure and older; never over a row that was made here. */
KL_INLINE __u32 store_copy(const struct kl_flow* flow, struct row* row, struct row* known, __u32 now, int v6) {
  if (!connection_find(flow, KL_CT_NEW, now, v6, known)) {
    return connection_store(flow, row, CT_IF_FREE, now, v6) ? KL_MOVED_STORED : KL_MOVED_TAKEN;
  }
  if (known->flags >> KL_CT_COPY_SHIFT < row->flags >> KL_CT_COPY_SHIFT) {
    return KL_MOVED_KNOWN;
  }
  int same = kl_same_addr(&known->to_src, &row->to_src) && kl_same_addr(&known->to_dst, &row->to_dst) &&
             known->to_sport == row->to_sport && known->to_dport == row->to_dport;
  if (same && known->state > row->state) {
    row->state = known->state;
  }
  return connection_store(flow, row, 0, now, v6) ? KL_MOVED_STORED : KL_MOVED_TAKEN;
}

__noinline int store_one(struct kl_moved* from, __u32 now) {
  struct storing* storing_now = bpf_map_lookup_elem(&storing, &zero_row);
  if (!from || !storing_now) {
    return KL_MOVED_WAITS;
  }
  struct kl_flow* flow = &storing_now->flow;
  flow->src = from->src;
  flow->dst = from->dst;
  flow->sport = from->sport;
  flow->dport = from->dport;
  flow->protocol = from->protocol;
  flow->zero[0] = flow->zero[1] = flow->zero[2] = 0;
  struct row* row = &storing_now->row;
  row->to_src = from->to_src;
  row->to_dst = from->to_dst;
  row->to_sport = from->to_sport;
  row->to_dport = from->to_dport;
  row->state = from->state;
  row->aged = 0;
  row->flags = from->flags;
  row->rest = from->rest;
  row->rest.next_hop = 0; /* of other next hops */
  return flow->src.word[2] == KL_MAPPED_WORD ? store_copy(flow, row, &storing_now->known, now, 0)
                                             : store_copy(flow, row, &storing_now->known, now, 1);
}

/* Run by the loader (BPF_PROG_TEST_RUN). */
SEC("tc")
int store_moved(struct __sk_buff* skb) {
  (void)skb;
  const struct kl_transition* wanted = bpf_map_lookup_elem(&transition, &zero_row);
  __u32 now = time_now();
  for (__u32 i = 0; i < KL_MOVED_ROWS; i++) {
    __u32 nth = i;
    struct kl_moved* row = bpf_map_lookup_elem(&moved, &nth);
    if (!wanted || !row || i >= wanted->moved) {
      break;
    }
    row->result = store_one(row, now);
  }
  return 0;
}

#endif
