/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The connection table of one family; included by connections.h once with CT_V6 0, once with 1. */
#if CT_V6
#define CT(name) name##6
#define CT_BUCKET struct kl_ct6_bucket
#define CT_ROW struct kl_ct6
#define CT_MAP connections6
#define CT_SAME(field, address) kl_same_addr(&(field), &(address))
#define CT_PUT(field, address) (field) = (address)
#define CT_GET(address, field) (address) = (field)
#else
#define CT(name) name##4
#define CT_BUCKET struct kl_ct4_bucket
#define CT_ROW struct kl_ct4
#define CT_MAP connections4
#define CT_SAME(field, address) ((field) == (address).word[3])
#define CT_PUT(field, address) (field) = (address).word[3]
#define CT_GET(address, field) (address) = kl_mapped(field)
#endif

KL_INLINE int CT(is_of)(const CT_ROW* row, const struct kl_flow* flow) {
  return CT_SAME(row->src, flow->src) && CT_SAME(row->dst, flow->dst) && row->sport == flow->sport &&
         row->dport == flow->dport && row->protocol == flow->protocol;
}

KL_INLINE void CT(flow_of)(const CT_ROW* row, struct kl_flow* flow) {
  CT_GET(flow->src, row->src);
  CT_GET(flow->dst, row->dst);
  flow->sport = row->sport;
  flow->dport = row->dport;
  flow->protocol = row->protocol;
}

KL_INLINE void CT(copy_out)(const CT_ROW* from, struct row* row) {
  CT_GET(row->to_src, from->to_src);
  CT_GET(row->to_dst, from->to_dst);
  row->to_sport = from->to_sport;
  row->to_dport = from->to_dport;
  row->state = from->state;
  row->flags = from->flags;
  row->rest = from->rest;
}

/* Under the lock: copies the row out and marks it as seen. 0 if its time is over. */
KL_INLINE int CT(take)(CT_ROW* from, __u8 state, __u32 now, const struct kl_config* settings, struct row* row) {
  __u32 idle = now - from->rest.seen;
  row->aged = 0;
  if (idle > settings->seen_step) {
    if ((__s32)idle > 0 && idle > time_to_live(settings, from->protocol, from->state)) {
      return 0;
    }
    from->rest.seen = now;
    row->aged = 1;
  }
  if (state > from->state) {
    from->state = state;
    row->aged = 1;
  }
  CT(copy_out)(from, row);
  return 1;
}

/* Copies the row out without the lock. 0: it has to be changed, or its time may be over. */
KL_INLINE int CT(peek)(const CT_ROW* from, __u8 state, __u32 now, struct row* row) {
  const struct kl_config* settings = bpf_map_lookup_elem(&config, &zero_row);
  if (!settings || now - from->rest.seen > settings->seen_step || state > from->state) {
    return 0;
  }
  row->aged = 0;
  CT(copy_out)(from, row);
  return 1;
}

/* `where`: bucket, and the tag above it. */
__noinline int CT(find_locked)(__u64 where, const struct kl_flow* flow, __u8 state, __u32 now, struct row* row) {
  __u32 index = (__u32)where;
  __u16 tag = (__u16)(where >> 32);
  const struct kl_config* settings = bpf_map_lookup_elem(&config, &zero_row);
  CT_BUCKET* bucket = bpf_map_lookup_elem(&CT_MAP, &index);
  if (!flow || !row || !settings || !bucket) {
    return 0;
  }
  int found = 0;
  bpf_spin_lock(&bucket->lock);
#pragma unroll
  for (__u32 way = 0; way < KL_CT_WAYS; way++) {
    if (bucket->tag[way] == tag && CT(is_of)(&bucket->row[way], flow)) {
      found = CT(take)(&bucket->row[way], state, now, settings, row);
      if (!found) {
        bucket->tag[way] = 0;
      }
      break;
    }
  }
  bpf_spin_unlock(&bucket->lock);
  return found;
}

KL_INLINE int CT(find_in)(__u32 index, __u16 tag, const struct kl_flow* flow, __u8 state, __u32 now, struct row* row,
                          __u32* spilled) {
  CT_BUCKET* bucket = bpf_map_lookup_elem(&CT_MAP, &index);
  if (!bucket) {
    return 0;
  }
  __u16 changes = KL_READ_ONCE(bucket->changes);
  KL_BARRIER();
  if (bucket->tag[0] != tag && bucket->tag[1] != tag && bucket->tag[2] != tag && bucket->tag[3] != tag &&
      bucket->tag[4] != tag) {
    KL_BARRIER();
    *spilled = KL_READ_ONCE(bucket->changes) & KL_CT_SPILLED; /* after the tags: it may just be moved (displace) */
    return 0;
  }
  if (loads_in_order) {
    int there = 0, taken = 0;
#pragma unroll
    for (__u32 way = 0; way < KL_CT_WAYS; way++) {
      if (bucket->tag[way] == tag && CT(is_of)(&bucket->row[way], flow)) {
        there = 1;
        taken = CT(peek)(&bucket->row[way], state, now, row);
        break;
      }
    }
    KL_BARRIER();
    if (!(changes & 1) && KL_READ_ONCE(bucket->changes) == changes && there == taken) {
      *spilled = changes & KL_CT_SPILLED;
      return taken;
    }
  }
  int found = CT(find_locked)((__u64)tag << 32 | index, flow, state, now, row);
  *spilled = KL_READ_ONCE(bucket->changes) & KL_CT_SPILLED;
  return found;
}

KL_INLINE int CT(find)(const struct kl_flow* flow, __u8 state, __u32 now, struct row* row) {
  struct place place = place_of(flow, CT_V6);
  __u32 spilled = 0;
  if (CT(find_in)(place.bucket, place.tag, flow, state, now, row, &spilled)) {
    return 1;
  }
  if (__builtin_expect(!spilled, 1)) {
    return 0;
  }
  return CT(find_in)(place.other, place.tag, flow, state, now, row, &spilled);
}

/* Under the lock. How much a row is worth keeping: 1 if its time is over, else the later seen the more. */
KL_INLINE __u32 CT(worth)(const CT_ROW* row, __u32 now, const struct kl_config* settings) {
  __u32 idle = now - row->rest.seen;
  if ((__s32)idle < 0) {
    return 0xffffffffu;
  }
  if (idle > time_to_live(settings, row->protocol, row->state)) {
    return 1;
  }
  /* A connection that is open goes after those that are not. */
  return (__u32)(row->state == KL_CT_ESTABLISHED) << 31 | (0x7fffffffu - idle);
}

KL_INLINE void CT(write)(CT_ROW* to, const struct kl_flow* flow, const struct row* row) {
  CT_PUT(to->src, flow->src);
  CT_PUT(to->dst, flow->dst);
  to->sport = flow->sport;
  to->dport = flow->dport;
  to->protocol = flow->protocol;
  to->state = row->state;
  to->flags = row->flags;
  CT_PUT(to->to_src, row->to_src);
  CT_PUT(to->to_dst, row->to_dst);
  to->to_sport = row->to_sport;
  to->to_dport = row->to_dport;
  to->rest = row->rest;
}

/* Under the lock, and so that whoever reads without it sees that. */
KL_INLINE void CT(put)(CT_BUCKET* bucket, __u32 way, __u16 tag, const struct kl_flow* flow, const struct row* row) {
  KL_WRITE_ONCE(bucket->changes, changes_after(bucket->changes));
  KL_BARRIER();
  bucket->tag[way] = tag;
  CT(write)(&bucket->row[way], flow, row);
  KL_BARRIER();
  KL_WRITE_ONCE(bucket->changes, changes_after(bucket->changes));
}

/* Under the lock: a live row of this flow that says something else. */
KL_INLINE int CT(contradicts)(const CT_ROW* have, const struct row* row, __u32 how, __u32 now,
                              const struct kl_config* settings) {
  if (CT_SAME(have->to_src, row->to_src) && CT_SAME(have->to_dst, row->to_dst) && have->to_sport == row->to_sport &&
      have->to_dport == row->to_dport) {
    return 0;
  }
  __u32 idle = now - have->rest.seen;
  return (have->state != KL_CT_CLOSING || (how & CT_UNUSED)) &&
         ((__s32)idle < 0 || idle <= time_to_live(settings, have->protocol, have->state));
}

#include "ebpf/bpf/connections_full_of_family.h"

/* `where`: bucket, and the tag above it. `how`: CT_IF_FREE, CT_EVICT_CLOSED, CT_EVICT. Global, so that the verifier
 * looks at it once and not for each caller. */
__noinline int CT(store_in)(__u64 where, const struct kl_flow* flow, const struct row* row, __u32 how, __u32 now) {
  if (!flow || !row) {
    return CT_FULL;
  }
  __u32 index = (__u32)where;
  __u16 tag = (__u16)(where >> 32);
  int if_free = how & CT_IF_FREE;
  __u32 may_go = how & CT_EVICT ? 0xffffffffu : how & CT_EVICT_CLOSED ? 0x7fffffffu : 1;
  const struct kl_config* settings = bpf_map_lookup_elem(&config, &zero_row);
  CT_BUCKET* bucket = bpf_map_lookup_elem(&CT_MAP, &index);
  if (!settings || !bucket) {
    return CT_FULL;
  }
  struct gone* gone = bpf_map_lookup_elem(&gone_of_cpu, &zero_row);
  if (!gone) {
    return CT_FULL;
  }
  int result = CT_FULL;
  __u32 counter = KL_COUNTERS;
  bpf_spin_lock(&bucket->lock);
  __u32 least = 0xffffffffu, chosen = 0;
#pragma unroll
  for (__u32 way = 0; way < KL_CT_WAYS; way++) {
    if (bucket->tag[way] == tag && CT(is_of)(&bucket->row[way], flow)) {
      if (if_free && CT(contradicts)(&bucket->row[way], row, how, now, settings)) {
        result = CT_TAKEN;
      }
      least = 0;
      chosen = way;
      break;
    }
    /* The first of those that are free: it shares cache lines with the tags. */
    if (bucket->tag[way] == 0 && least) {
      least = 0;
      chosen = way;
    }
  }
  if (least) {
#pragma unroll
    for (__u32 way = 0; way < KL_CT_WAYS; way++) {
      __u32 worth = CT(worth)(&bucket->row[way], now, settings);
      if (worth < least) {
        least = worth;
        chosen = way;
      }
    }
  }
  KL_OPAQUE(chosen);
  if (result != CT_TAKEN && least <= may_go && chosen < KL_CT_WAYS) {
    if (least > 1) {
      counter = KL_FLOWS_EVICTED;
      CT(note_gone)(&bucket->row[chosen], gone);
    }
    CT(put)(bucket, chosen, tag, flow, row);
    result = CT_STORED;
  }
  bpf_spin_unlock(&bucket->lock);
  if (counter != KL_COUNTERS) {
    count(counter);
  }
  return result;
}

/* A row that has its place in the second bucket keeps it. */
__noinline int CT(is_in_second)(const struct place* place, const struct kl_flow* flow) {
  if (!place || !flow) {
    return 0;
  }
  __u32 index = place->bucket;
  const CT_BUCKET* bucket = bpf_map_lookup_elem(&CT_MAP, &index);
  if (!bucket || __builtin_expect(!(bucket->changes & KL_CT_SPILLED), 1)) {
    return 0;
  }
  return !CT(has_in)(place->bucket, place->tag, flow) && CT(has_in)(place->other, place->tag, flow);
}

/* Global for the same reason: masquerading tries many ports. */
__noinline int CT(store)(const struct kl_flow* flow, const struct row* row, __u32 how, __u32 now) {
  if (!flow || !row) {
    return 0;
  }
  struct place place = place_of(flow, CT_V6);
  __u64 tag = (__u64)place.tag << 32;
  int stored = CT_FULL;
  if (!CT(is_in_second)(&place, flow)) {
    stored = CT(store_in)(tag | place.bucket, flow, row, how, now);
  }
  if (stored == CT_FULL) {
    stored = CT(store_in)(tag | place.other, flow, row, how, now);
    if (stored == CT_STORED) {
      CT(mark_spilled)(place.bucket);
    }
  }
  int room = stored == CT_FULL ? CT(make_room)(&place, now) : CT_NO_ROOM;
  if (room) {
    stored = CT(store_in)(tag | (room == CT_ROOM_IN_FIRST ? place.bucket : place.other), flow, row, how, now);
    if (room == CT_ROOM_IN_SECOND && stored == CT_STORED) {
      CT(mark_spilled)(place.bucket);
    }
  }
  int full = stored == CT_FULL;
  if (full) {
    stored = CT(store_in)(tag | place.bucket, flow, row, how | CT_EVICT_CLOSED, now);
  }
  if (stored == CT_FULL) {
    stored = CT(store_in)(tag | place.other, flow, row, how | CT_EVICT_CLOSED, now);
    if (stored == CT_STORED) {
      CT(mark_spilled)(place.bucket);
    }
  }
  if (stored == CT_FULL) {
    stored = CT(store_in)(tag | place.bucket, flow, row, how | CT_EVICT, now);
  }
  if (__builtin_expect(full, 0)) {
    CT(forget_gone)();
  }
  return stored == CT_STORED;
}

/* Takes the row of this flow away. How many there were. */
__noinline int CT(forget)(const struct kl_flow* flow) {
  if (!flow) {
    return 0;
  }
  struct place place = place_of(flow, CT_V6);
  __u64 tag = (__u64)place.tag << 32;
  int found = CT(clear_in)(tag | place.bucket, flow);
  return found + (place.other != place.bucket ? CT(clear_in)(tag | place.other, flow) : 0);
}

#undef CT
#undef CT_BUCKET
#undef CT_ROW
#undef CT_MAP
#undef CT_SAME
#undef CT_PUT
#undef CT_GET
