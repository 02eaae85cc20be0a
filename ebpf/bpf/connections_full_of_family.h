/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What becomes of rows where both buckets of a flow are full: one is moved, or else one goes, with its whole flow.
 * Included by connections_of_family.h. */

KL_INLINE void CT(mark_spilled)(__u32 index) {
  CT_BUCKET* bucket = bpf_map_lookup_elem(&CT_MAP, &index);
  if (bucket) {
    bpf_spin_lock(&bucket->lock);
    bucket->changes |= KL_CT_SPILLED;
    bpf_spin_unlock(&bucket->lock);
  }
}

/* Takes the row of this flow out of one bucket (`where`: and the tag above it). 1: there was one. */
__noinline int CT(clear_in)(__u64 where, const struct kl_flow* flow) {
  __u32 index = (__u32)where;
  __u16 tag = (__u16)(where >> 32);
  CT_BUCKET* bucket = bpf_map_lookup_elem(&CT_MAP, &index);
  if (!flow || !bucket) {
    return 0;
  }
  int found = 0;
  bpf_spin_lock(&bucket->lock);
#pragma unroll
  for (__u32 way = 0; way < KL_CT_WAYS; way++) {
    if (bucket->tag[way] == tag && CT(is_of)(&bucket->row[way], flow)) {
      bucket->tag[way] = 0;
      found = 1;
    }
  }
  bpf_spin_unlock(&bucket->lock);
  return found;
}

/* Copies the row into this bucket, if there is room. */
__noinline int CT(put_moved)(__u32 index, __u32 now) {
  const struct moved_row* moved = bpf_map_lookup_elem(&moved_of_cpu, &zero_row);
  const struct kl_config* settings = bpf_map_lookup_elem(&config, &zero_row);
  CT_BUCKET* bucket = bpf_map_lookup_elem(&CT_MAP, &index);
  if (!moved || !settings || !bucket) {
    return 0;
  }
  __u32 chosen = KL_CT_WAYS;
  bpf_spin_lock(&bucket->lock);
#pragma unroll
  for (__u32 way = 0; way < KL_CT_WAYS; way++) {
    if (bucket->tag[way] == moved->tag && CT(is_of)(&bucket->row[way], &moved->flow)) {
      chosen = way; /* left of an earlier flow */
      break;
    }
    if (chosen == KL_CT_WAYS && (bucket->tag[way] == 0 || CT(worth)(&bucket->row[way], now, settings) == 1)) {
      chosen = way;
    }
  }
  KL_OPAQUE(chosen);
  int room = chosen < KL_CT_WAYS;
  if (room) {
    CT(put)(bucket, chosen, moved->tag, &moved->flow, &moved->row);
  }
  bpf_spin_unlock(&bucket->lock);
  return room;
}

/* Under the lock: the row is still what was copied, but for when it was seen and its way. */
KL_INLINE int CT(is_as_moved)(const CT_ROW* row, const struct moved_row* moved) {
  return CT(is_of)(row, &moved->flow) && CT_SAME(row->to_src, moved->row.to_src) &&
         CT_SAME(row->to_dst, moved->row.to_dst) && row->to_sport == moved->row.to_sport &&
         row->to_dport == moved->row.to_dport && row->state == moved->row.state && row->flags == moved->row.flags;
}

/* Moves one row of a full bucket (`where`: and its number above it) to its second bucket. It is in both for a moment,
 * so that whoever looks for it in the first and then in the second finds it; of a row that is in its second bucket
 * already the first might be looked at too early, so it stays. One row of a bucket at a time: KL_CT_MOVING. */
__noinline int CT(displace)(__u64 where, __u32 now) {
  __u32 index = (__u32)where, way = where >> 32;
  struct moved_row* moved = bpf_map_lookup_elem(&moved_of_cpu, &zero_row);
  CT_BUCKET* bucket = bpf_map_lookup_elem(&CT_MAP, &index);
  if (!moved || !bucket || way >= KL_CT_WAYS) {
    return 0;
  }
  CT_ROW* row = &bucket->row[way];
  bpf_spin_lock(&bucket->lock);
  int is_free = bucket->tag[way] == 0, moving = bucket->changes & KL_CT_MOVING;
  if (!is_free && !moving) {
    bucket->changes |= KL_CT_MOVING | KL_CT_SPILLED;
    moved->tag = bucket->tag[way];
    CT(flow_of)(row, &moved->flow);
    CT(copy_out)(row, &moved->row);
  }
  bpf_spin_unlock(&bucket->lock);
  if (is_free || moving) {
    return is_free;
  }
  struct place place = place_of(&moved->flow, CT_V6);
  int copied = place.bucket == index && place.other != index && CT(put_moved)(place.other, now), same = 0;
  bpf_spin_lock(&bucket->lock);
  bucket->changes &= ~KL_CT_MOVING;
  if (copied && bucket->tag[way] == moved->tag && CT(is_as_moved)(row, moved)) {
    bucket->tag[way] = 0;
    same = 1;
  }
  bpf_spin_unlock(&bucket->lock);
  if (copied && !same) {
    CT(clear_in)((__u64)moved->tag << 32 | place.other, &moved->flow);
  }
  return same;
}

/* Without the lock: whether somebody may find room here. */
KL_INLINE int CT(may_have_room)(__u32 index, __u32 now) {
  const struct kl_config* settings = bpf_map_lookup_elem(&config, &zero_row);
  const CT_BUCKET* bucket = bpf_map_lookup_elem(&CT_MAP, &index);
#pragma unroll
  for (__u32 way = 0; settings && bucket && way < KL_CT_WAYS; way++) {
    if (bucket->tag[way] == 0 || CT(worth)(&bucket->row[way], now, settings) == 1) {
      return 1;
    }
  }
  return 0;
}

__noinline int CT(make_room_in)(__u32 index, __u32 now) {
  const CT_BUCKET* bucket = bpf_map_lookup_elem(&CT_MAP, &index);
  for (__u32 way = 0; bucket && way < KL_CT_WAYS; way++) {
    if (CT(may_have_room)(other_bucket(index, bucket->tag[way], CT_V6), now) &&
        CT(displace)((__u64)way << 32 | index, now)) {
      return 1;
    }
  }
  return 0;
}

/* In one of the full buckets of a flow, by moving a row. Where a table is full everywhere that is in vain, and costs
 * several times a new flow: the more often it was, the longer it is not tried. */
__noinline int CT(make_room)(const struct place* place, __u32 now) {
  struct moved_row* moved = bpf_map_lookup_elem(&moved_of_cpu, &zero_row);
  if (!place || !moved) {
    return CT_NO_ROOM;
  }
  if (moved->skip) {
    moved->skip--;
    return CT_NO_ROOM;
  }
  int room = CT(make_room_in)(place->bucket, now)  ? CT_ROOM_IN_FIRST
             : CT(make_room_in)(place->other, now) ? CT_ROOM_IN_SECOND
                                                   : CT_NO_ROOM;
  moved->in_vain = room ? 0 : (moved->in_vain << 1 | 1) & 0xff;
  moved->skip = moved->in_vain >> 1;
  return room;
}

/* Under the lock. */
KL_INLINE void CT(note_gone)(const CT_ROW* row, struct gone* gone) {
  CT(flow_of)(row, &gone->flow);
  CT_GET(gone->twin.src, row->to_dst);
  CT_GET(gone->twin.dst, row->to_src);
  gone->twin.sport = row->to_dport;
  gone->twin.dport = row->to_sport;
  gone->twin.protocol = row->protocol;
  gone->whole = (row->state != KL_CT_ESTABLISHED || row->flags & KL_CT_REPLY) && !(row->flags & KL_CT_TUNNEL);
}

KL_INLINE int CT(has_in)(__u32 index, __u16 tag, const struct kl_flow* flow) {
  const CT_BUCKET* bucket = bpf_map_lookup_elem(&CT_MAP, &index);
#pragma unroll
  for (__u32 way = 0; bucket && way < KL_CT_WAYS; way++) {
    if (bucket->tag[way] == tag && CT(is_of)(&bucket->row[way], flow)) {
      return 1;
    }
  }
  return 0;
}

/* A row of the flow, whatever it says. */
KL_INLINE int CT(has_row)(const struct kl_flow* flow) {
  struct place place = place_of(flow, CT_V6);
  return CT(has_in)(place.bucket, place.tag, flow) || CT(has_in)(place.other, place.tag, flow);
}

/* A flow that has just lost a row is forgotten whole: with the other alone its packets would still be sent on, and its
 * replies be nobody's. An open connection keeps its replies': from that the other is made again (keep_twin), and until
 * then its packets find the same endpoint by their hash. */
__noinline int CT(forget_gone)(void) {
  struct gone* gone = bpf_map_lookup_elem(&gone_of_cpu, &zero_row);
  if (!gone || !gone->whole) {
    return 0;
  }
  gone->whole = 0;
  if (CT(has_row)(&gone->flow)) {
    return 0; /* a later flow's, and so is the twin */
  }
  struct place place = place_of(&gone->twin, CT_V6);
#pragma unroll
  for (int second = 0; second < 2; second++) {
    __u32 index = second ? place.other : place.bucket;
    CT_BUCKET* bucket = bpf_map_lookup_elem(&CT_MAP, &index);
    if (!bucket) {
      return 0;
    }
    bpf_spin_lock(&bucket->lock);
#pragma unroll
    for (__u32 way = 0; way < KL_CT_WAYS; way++) {
      const CT_ROW* row = &bucket->row[way];
      /* Its ports may have become another flow's. */
      if (bucket->tag[way] == place.tag && CT(is_of)(row, &gone->twin) && row->to_sport == gone->flow.dport &&
          row->to_dport == gone->flow.sport && CT_SAME(row->to_src, gone->flow.dst) &&
          CT_SAME(row->to_dst, gone->flow.src)) {
        bucket->tag[way] = 0;
      }
    }
    bpf_spin_unlock(&bucket->lock);
  }
  return 1;
}
