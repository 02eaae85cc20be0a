/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Tells who listens what became of packets. While nobody does it costs a load and a branch; a flood costs no more than
 * so many events a second. */
#ifndef KEELSON_EBPF_EVENTS_H
#define KEELSON_EBPF_EVENTS_H

#include "ebpf/bpf/maps.h"

/* Where a packet is. */
#define KL_WHERE(hook, ifindex) ((__u64)(hook) << 32 | (__u32)(ifindex))

/* 0: this second's are told. */
KL_INLINE int may_tell(const struct kl_config* settings) {
  struct kl_event_rate* rate = bpf_map_lookup_elem(&event_rates, &zero_row);
  if (!rate) {
    return 0;
  }
  __u32 second = time_now() >> 10;
  if (rate->second != second) {
    rate->second = second;
    rate->told = 0;
  }
  if (rate->told >= settings->events_per_second) {
    return 0;
  }
  rate->told++;
  return 1;
}

/* Global, so that the verifier looks at it once. `flow` as it came, `onward` as it goes on or the same. */
__noinline int tell(const struct kl_flow* flow, const struct kl_flow* onward, __u64 where, __u32 counter,
                    __u64 service_and_backend) {
  const struct kl_config* settings = bpf_map_lookup_elem(&config, &zero_row);
  if (!flow || !onward || !settings) {
    return 0;
  }
  struct kl_event* event = may_tell(settings) ? bpf_ringbuf_reserve(&events, sizeof *event, 0) : NULL;
  if (!event) {
    count(KL_EVENTS_LOST);
    return 0;
  }
  event->time = bpf_ktime_get_ns();
  event->flow = *flow;
  __builtin_memset(&event->onward, 0, sizeof event->onward);
  if (onward != flow) {
    event->onward = *onward;
  }
  event->counter = counter;
  event->service = (__u32)(service_and_backend >> 32);
  event->backend = (__u32)service_and_backend;
  event->ifindex = (__u32)where;
  event->hook = (__u32)(where >> 32);
  event->zero = 0;
  bpf_ringbuf_submit(event, 0);
  return 1;
}

KL_INLINE int is_told(__u32 flag) {
  const struct kl_config* settings = bpf_map_lookup_elem(&config, &zero_row);
  return settings && __builtin_expect(*(volatile const __u32*)&settings->flags & flag, 0);
}

/* Counts a packet that does not go on, and tells of it. `service`: row, 0 if none is known. */
KL_INLINE void count_end(__u32 counter, const struct kl_flow* flow, __u32 service, __u64 where) {
  count(counter);
  if (is_told(KL_CONFIG_DROP_EVENTS)) {
    tell(flow, flow, where, counter, (__u64)service << 32);
  }
}

/* Counts a flow that begins, and tells of it. */
KL_INLINE void count_begin(__u32 counter, const struct kl_flow* flow, const struct kl_flow* onward, __u32 service,
                           __u32 backend, __u64 where) {
  count(counter);
  if (is_told(KL_CONFIG_FLOW_EVENTS)) {
    tell(flow, onward, where, counter, (__u64)service << 32 | backend);
  }
}

#endif
