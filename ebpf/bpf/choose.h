/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Where a new flow goes: frontend, policy, affinity, backend. The same for sockets and packets. */
#ifndef KEELSON_EBPF_CHOOSE_H
#define KEELSON_EBPF_CHOOSE_H

#include "ebpf/bpf/maps.h"

enum choice_result {
  CHOICE_FORWARD,
  CHOICE_NOT_OURS, /* no service has this address and port */
  CHOICE_REJECT,
  CHOICE_DROP, /* choice.counter says why */
  CHOICE_LEAVE /* at a socket: the packet hooks decide */
};

/* Which of the two sees a flow; AT_SOCKET_ONLY: take what no packet hook sees, leave all else to them. AT_LATER_PACKET:
 * one that cannot be the first of its flow. */
enum { AT_LATER_PACKET = -1, AT_PACKET, AT_SOCKET, AT_SOCKET_ONLY };

struct choice {
  struct kl_addr address;
  struct kl_addr node; /* that the flow is to be wrapped for; zero: it is not */
  __be16 port;
  __u16 flags; /* kl_backend_flags */
  __u32 backend;
  __u32 service;
  __u32 counter;
  __u8 masquerade;
};

/* The backend that a name means, if it is still that one. */
KL_INLINE const struct kl_backend* backend_of(__u32 name) {
  __u32 row = KL_BACKEND_ROW(name);
  const struct kl_backend* backend = bpf_map_lookup_elem(&backends, &row);
  return backend && name && backend->name == name ? backend : NULL;
}

KL_INLINE int may_take_flows(__u32 name) {
  const struct kl_backend* backend = backend_of(name);
  return backend && (backend->flags & KL_BACKEND_SERVING);
}

/* A node port answers on all of 127.0.0.0/8; the tables know 127.0.0.1. Returns whether the address is one of them. */
KL_INLINE int canonical_loopback(struct kl_addr* address) {
  if (address->word[2] == KL_MAPPED_WORD && !address->word[0] && !address->word[1] &&
      (address->word[3] & 0xff) == 127) {
    address->word[3] = __builtin_bswap32(0x7f000001);
    return 1;
  }
  return 0;
}

KL_INLINE const struct kl_frontend* frontend_of(const struct kl_addr* address, __be16 port, __u8 protocol) {
  struct kl_frontend_key key = {*address, port, protocol, 0};
  return bpf_map_lookup_elem(&frontends, &key);
}

/* Most packets are of no service: what each CPU has found to be none is remembered. */
#define KL_STRANGERS 256
struct stranger {
  struct kl_addr address;
  __be16 port;
  __u8 protocol; /* 0: nothing is remembered here */
  __u8 zero;
  __u32 found;   /* kl_time; at most for a second, whatever the daemon said */
  __u64 changes; /* of the frontends, before they were looked through */
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, KL_STRANGERS);
  __type(key, __u32);
  __type(value, struct stranger);
} strangers KL_MAP;

/* frontend_of() for packets. */
KL_INLINE const struct kl_frontend* frontend_of_packet(const struct kl_flow* flow, __u32 now) {
  __u32 place = (flow->dst.word[3] ^ (__u32)flow->dport << 16) * 0x9e3779b1u >> 24;
  struct stranger* known = bpf_map_lookup_elem(&strangers, &place);
  const struct kl_service* nobody = bpf_map_lookup_elem(&services, &zero_row);
  if (!known || !nobody) {
    return NULL;
  }
  __u64 changes = KL_READ_ONCE(nobody->new_flows);
  KL_BARRIER();
  if (known->protocol == flow->protocol && known->port == flow->dport && known->changes == changes &&
      kl_same_addr(&known->address, &flow->dst) && now - known->found <= KL_ONE_SECOND) {
    return NULL;
  }
  const struct kl_frontend* frontend = frontend_of(&flow->dst, flow->dport, flow->protocol);
  if (!frontend) {
    known->address = flow->dst;
    known->port = flow->dport;
    known->protocol = flow->protocol;
    known->found = now;
    known->changes = changes;
  }
  return frontend;
}

__noinline int in_source_ranges(const struct kl_addr* source, __u32 ranges) {
  if (!source) {
    return 0;
  }
  struct kl_range_key key = {.bits = 32 + 128, .ranges = ranges, .address = *source};
  return bpf_map_lookup_elem(&source_ranges, &key) != NULL;
}

/* Whose packet it is, where that is told by its source (detectLocalMode ClusterCIDR, NodeCIDR). */
KL_INLINE enum kl_from sent_by(const struct kl_addr* source, enum kl_from by_link, int v6) {
  const struct kl_config* settings = bpf_map_lookup_elem(&config, &zero_row);
  if (!settings || !(settings->flags & (v6 ? KL_CONFIG_LOCAL_SOURCES6 : KL_CONFIG_LOCAL_SOURCES4))) {
    return by_link;
  }
  return in_source_ranges(source, KL_LOCAL_SOURCES) ? KL_FROM_POD : KL_FROM_OUTSIDE;
}

/* The pool's backend that this flow is for; 0: none. The same as long as the pool is, so that a flow whose rows are
 * lost goes on. For Maglev nodes must agree, so there the seed is no secret. */
KL_INLINE __u32 pick(const struct kl_service* service, __u64 pool, const struct kl_flow* flow, __u32 hash, int v6) {
  __u32 many = KL_POOL_COUNT(pool);
  if (many == 0) {
    return 0;
  }
  int maglev = service->flags & KL_SERVICE_MAGLEV;
  __u32 nth = maglev ? kl_flow_hash(flow, 0, v6).first % many : kl_hash_choice(hash, many);
  __u32 slot = KL_POOL_BASE(pool) + nth;
  const __u32* name = bpf_map_lookup_elem(&slots, &slot);
  return name ? *name : 0;
}

/* The backend a client had, if the pool still has it: a backend that left the pool must not be kept by affinity.
 * `pool`: the kl_backend_flags of its pool. */
__noinline __u32 remembered(const struct kl_affinity_key* key, __u32 seconds, __u32 pool, __u32 now) {
  if (!key) {
    return 0;
  }
  struct kl_affinity_key own = *key; /* before Linux 6.3 a key must be the function's own */
  struct kl_affinity* known = bpf_map_lookup_elem(&affinity, &own);
  /* Another CPU may have seen it after `now`. */
  __s32 idle = known ? now - known->seen : 0;
  if (!known || (idle > 0 && (__u64)idle > (__u64)seconds * KL_ONE_SECOND)) {
    return 0;
  }
  const struct kl_backend* backend = backend_of(known->backend);
  if (!backend || backend->service != key->service || !(backend->flags & pool)) {
    return 0;
  }
  known->seen = now;
  return known->backend;
}

/* Another proxy's, while services change hands. */
KL_INLINE int left_to_others(int part) {
  const struct kl_config* settings = bpf_map_lookup_elem(&config, &zero_row);
  __u32 flags = settings ? settings->flags : 0;
  return (flags & KL_CONFIG_NO_NEW_FLOWS) || (part == AT_LATER_PACKET && (flags & KL_CONFIG_LEAVE_STRANGERS));
}

/* `frontend`: that the flow is for. `hash`: of the flow, with the tables' seed; at a socket, whose own address is not
 * known yet, any number. */
KL_INLINE int choose(const struct kl_frontend* frontend, const struct kl_flow* flow, const struct kl_addr* client,
                     enum kl_from from, __u32 hash, __u32 now, int part, int v6, struct choice* choice) {
  /* The stack drops it, and counts it. */
  if (part <= AT_PACKET && from != KL_FROM_NODE && __builtin_expect(kl_is_martian(&flow->src, &flow->dst, v6), 0)) {
    return CHOICE_NOT_OURS;
  }
  if (__builtin_expect(left_to_others(part), 0)) {
    return CHOICE_NOT_OURS;
  }
  if (part > AT_PACKET && (frontend->flags & (KL_FRONTEND_NO_SOCKET | KL_FRONTEND_SOURCE_RANGES))) {
    return CHOICE_LEAVE;
  }
  if (part == AT_SOCKET_ONLY && !(frontend->flags & KL_FRONTEND_NODE_ADDRESS)) {
    return CHOICE_LEAVE;
  }
  if (part <= AT_PACKET && from != KL_FROM_NODE && frontend->use[KL_FROM_POD] != frontend->use[KL_FROM_OUTSIDE]) {
    from = sent_by(&flow->src, from, v6);
  }
  __u32 sender = from;
  KL_OPAQUE(sender);
  if (sender >= KL_FROM_COUNT) {
    return CHOICE_NOT_OURS;
  }
  __u8 use = frontend->use[sender], verdict = use & KL_USE_VERDICT;
  choice->service = frontend->service;
  if ((frontend->flags & KL_FRONTEND_SOURCE_RANGES) && !kl_same_addr(&flow->src, &flow->dst) &&
      !in_source_ranges(&flow->src, frontend->ranges)) {
    choice->counter = KL_DROP_SOURCE_RANGE;
    return CHOICE_DROP;
  }
  if (verdict == KL_REJECT) {
    return CHOICE_REJECT;
  }
  choice->counter = KL_DROP_NO_LOCAL;
  if (verdict == KL_DROP) {
    return CHOICE_DROP;
  }

  struct kl_service* service = bpf_map_lookup_elem(&services, &choice->service);
  if (!service) {
    return CHOICE_REJECT;
  }
  __u64 pool = *(volatile __u64*)&service->pool[verdict == KL_LOCAL];
  struct kl_affinity_key affine = {*client, choice->service, 0};
  __u32 seconds = service->affinity_seconds;
  __u32 of_pool = verdict == KL_LOCAL ? KL_BACKEND_IN_LOCAL : KL_BACKEND_IN_CLUSTER;
  __u32 name = seconds ? remembered(&affine, seconds, of_pool, now) : 0;
  if (!name) {
    name = pick(service, pool, flow, hash, v6);
    if (name && seconds) {
      struct kl_affinity fresh = {.backend = name, .seen = now};
      bpf_map_update_elem(&affinity, &affine, &fresh, BPF_ANY);
    }
  }
  const struct kl_backend* backend = backend_of(name);
  if (!backend) {
    choice->counter = KL_DROP_STALE_BACKEND;
    return CHOICE_DROP;
  }
  choice->address = backend->address;
  choice->port = backend->port;
  choice->flags = backend->flags;
  choice->backend = name;
  choice->masquerade = use & KL_USE_MASQUERADE;
  if (part <= AT_PACKET) {
    int wrapped = (service->flags & KL_SERVICE_DSR) && from == KL_FROM_OUTSIDE && choice->masquerade &&
                  !(backend->flags & KL_BACKEND_ON_NODE);
    choice->node = wrapped ? backend->node : (struct kl_addr){};
  }
  service->new_flows++;
  return CHOICE_FORWARD;
}

#endif
