/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Sockets, at connect() and where datagrams are sent: the service's address is replaced before there is any packet, so
 * none of them costs anything. What the process sees stays the service's address. */
#ifndef KEELSON_EBPF_SOCKET_H
#define KEELSON_EBPF_SOCKET_H

#include <linux/in.h>

#include "ebpf/bpf/choose.h"
#include "ebpf/bpf/events.h"

#define SOCKET_REFUSE 0
#define SOCKET_GO_ON 1
#define KL_ECONNREFUSED 111

KL_INLINE struct kl_addr socket_address(const struct bpf_sock_addr* ctx, int v6) {
  if (!v6) {
    return kl_mapped(ctx->user_ip4);
  }
  struct kl_addr address = {{ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]}};
  return address;
}

KL_INLINE void socket_set(struct bpf_sock_addr* ctx, const struct kl_addr* address, __be16 port, int v6) {
  ctx->user_port = port;
  if (!v6) {
    ctx->user_ip4 = address->word[3];
    return;
  }
  ctx->user_ip6[0] = address->word[0];
  ctx->user_ip6[1] = address->word[1];
  ctx->user_ip6[2] = address->word[2];
  ctx->user_ip6[3] = address->word[3];
}

/* AT_SOCKET, AT_SOCKET_ONLY, or AT_PACKET: not at all.
 *
 * A datagram socket is connected once and sends for ever: translated here it would go on sending to an endpoint that
 * has left. The packet hooks look at each datagram, so theirs is all that they see: what pods send, and what the node
 * sends to others. What it sends to itself they see only with an endpoint as the destination: that is given here, and
 * they choose again (meant_by). */
KL_INLINE int socket_part(const struct bpf_sock_addr* ctx, const struct kl_config* settings, __u64 cookie) {
  int of_node = cookie == settings->netns_cookie;
  __u32 flags = settings->flags;
  if (!of_node && (flags & KL_CONFIG_NODE_SOCKETS_ONLY)) {
    return AT_PACKET;
  }
  if (!of_node && (flags & KL_CONFIG_SOME_NETNS_LEFT) && bpf_map_lookup_elem(&left_netns, &cookie)) {
    return AT_PACKET;
  }
  if (ctx->protocol == IPPROTO_TCP) {
    return flags & KL_CONFIG_TCP_SOCKET ? AT_SOCKET : AT_PACKET;
  }
  if (ctx->protocol != IPPROTO_UDP) {
    return AT_PACKET;
  }
  return flags & KL_CONFIG_UDP_SOCKET ? AT_SOCKET : of_node ? AT_SOCKET_ONLY : AT_PACKET;
}

KL_INLINE int socket_choose(struct bpf_sock_addr* ctx, const struct kl_addr* address, struct choice* choice) {
  const struct kl_config* settings = bpf_map_lookup_elem(&config, &zero_row);
  if (!settings) {
    return CHOICE_NOT_OURS;
  }
  __u64 cookie = bpf_get_netns_cookie(ctx);
  int part = socket_part(ctx, settings, cookie);
  if (part == AT_PACKET) {
    return CHOICE_NOT_OURS;
  }
  /* It stands for the source, which is not known yet. A socket that sends to many stays with its endpoint. */
  __u32 hash = bpf_get_prandom_u32();
  if (ctx->protocol == IPPROTO_UDP) {
    hash = (__u32)((bpf_get_socket_cookie(ctx) * 0x9e3779b97f4a7c15ull) >> 32);
  }
  struct kl_flow flow = {
      .src = {{0, 0, 0, hash}}, .dst = *address, .dport = (__be16)ctx->user_port, .protocol = ctx->protocol};
  struct kl_addr client = {{(__u32)(cookie >> 32), (__u32)cookie, 1, 0}};
  enum kl_from from = cookie == settings->netns_cookie ? KL_FROM_NODE : KL_FROM_POD;
  if (canonical_loopback(&flow.dst) && from == KL_FROM_POD) {
    return CHOICE_NOT_OURS; /* A pod's loopback is its own. */
  }
  const struct kl_frontend* frontend = frontend_of(&flow.dst, flow.dport, flow.protocol);
  return frontend ? choose(frontend, &flow, &client, from, hash, time_now(), part, 0, choice) : CHOICE_NOT_OURS;
}

/* Told without the socket's own address, which is not known yet. */
KL_INLINE void socket_told(struct bpf_sock_addr* ctx, const struct kl_addr* address, __be16 port,
                           const struct choice* choice, __u32 counter) {
  struct kl_flow flow = {.dst = *address, .dport = port, .protocol = ctx->protocol};
  if (counter == KL_SOCKET_REFUSED) {
    count_end(counter, &flow, choice->service, 0);
    return;
  }
  struct kl_flow onward = {.dst = choice->address, .dport = choice->port, .protocol = ctx->protocol};
  count_begin(counter, &flow, &onward, choice->service, choice->backend, 0);
}

/* Until it is closed. The storage of a socket takes microseconds to make and to free, a row of a table a tenth of that;
 * but where the row has no room, or nothing would take it away, the storage is as good. Of datagrams the packet hooks
 * have to know, too, and they find the storage alone (meant_by). */
KL_INLINE void socket_remember(struct bpf_sock_addr* ctx, const struct kl_socket* known) {
  if (have_sock_release && ctx->protocol == IPPROTO_TCP) {
    __u64 cookie = bpf_get_socket_cookie(ctx);
    if (bpf_map_update_elem(&connected, &cookie, known, BPF_ANY) == 0) {
      return;
    }
  }
  struct bpf_sock* sk = ctx->sk;
  struct kl_socket* kept = sk ? bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE) : NULL;
  if (kept) {
    *kept = *known;
  }
}

KL_INLINE const struct kl_socket* socket_remembered(struct bpf_sock_addr* ctx) {
  if (have_sock_release && ctx->protocol == IPPROTO_TCP) {
    __u64 cookie = bpf_get_socket_cookie(ctx);
    const struct kl_socket* known = bpf_map_lookup_elem(&connected, &cookie);
    if (known) {
      return known;
    }
  }
  struct bpf_sock* sk = ctx->sk;
  return sk ? bpf_sk_storage_get(&sockets, sk, NULL, 0) : NULL;
}

KL_INLINE int socket_connect(struct bpf_sock_addr* ctx, int v6) {
  struct choice choice = {};
  struct kl_addr address = socket_address(ctx, v6);
  int result = socket_choose(ctx, &address, &choice);
  if (result == CHOICE_REJECT && ctx->protocol == IPPROTO_TCP && have_set_retval) {
    socket_told(ctx, &address, (__be16)ctx->user_port, &choice, KL_SOCKET_REFUSED);
    bpf_set_retval(-KL_ECONNREFUSED);
    return SOCKET_REFUSE;
  }
  if (result != CHOICE_FORWARD) {
    return SOCKET_GO_ON;
  }
  struct kl_socket known = {.backend = choice.address,
                            .frontend = address,
                            .backend_port = choice.port,
                            .frontend_port = (__be16)ctx->user_port};
  socket_remember(ctx, &known);
  socket_told(ctx, &address, (__be16)ctx->user_port, &choice, KL_SOCKET_TRANSLATED);
  socket_set(ctx, &choice.address, choice.port, v6);
  return SOCKET_GO_ON;
}

KL_INLINE int socket_send(struct bpf_sock_addr* ctx, int v6) {
  struct choice choice = {};
  struct kl_addr address = socket_address(ctx, v6);
  if (socket_choose(ctx, &address, &choice) != CHOICE_FORWARD) {
    return SOCKET_GO_ON;
  }
  struct kl_peer_key key = {
      .socket = bpf_get_socket_cookie(ctx), .backend = choice.address, .backend_port = choice.port};
  struct kl_peer peer = {.frontend = address, .frontend_port = (__be16)ctx->user_port, .backend = choice.backend};
  bpf_map_update_elem(&peers, &key, &peer, BPF_ANY);
  socket_told(ctx, &address, (__be16)ctx->user_port, &choice, KL_SOCKET_TRANSLATED);
  socket_set(ctx, &choice.address, choice.port, v6);
  return SOCKET_GO_ON;
}

/* The peer that the process is told, in a received datagram or by getpeername(): the service. */
KL_INLINE int socket_show_peer(struct bpf_sock_addr* ctx, int v6) {
  struct kl_addr address = socket_address(ctx, v6);
  const struct kl_socket* known = socket_remembered(ctx);
  if (known && known->backend_port == (__be16)ctx->user_port && kl_same_addr(&known->backend, &address)) {
    socket_set(ctx, &known->frontend, known->frontend_port, v6);
    return SOCKET_GO_ON;
  }
  if (ctx->protocol != IPPROTO_UDP) {
    return SOCKET_GO_ON;
  }
  struct kl_peer_key key = {
      .socket = bpf_get_socket_cookie(ctx), .backend = address, .backend_port = (__be16)ctx->user_port};
  const struct kl_peer* peer = bpf_map_lookup_elem(&peers, &key);
  if (peer) {
    socket_set(ctx, &peer->frontend, peer->frontend_port, v6);
  }
  return SOCKET_GO_ON;
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr* ctx) {
  return socket_connect(ctx, 0);
}
SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr* ctx) {
  return socket_connect(ctx, 1);
}
SEC("cgroup/sendmsg4")
int sendmsg4(struct bpf_sock_addr* ctx) {
  return socket_send(ctx, 0);
}
SEC("cgroup/sendmsg6")
int sendmsg6(struct bpf_sock_addr* ctx) {
  return socket_send(ctx, 1);
}
SEC("cgroup/recvmsg4")
int recvmsg4(struct bpf_sock_addr* ctx) {
  return socket_show_peer(ctx, 0);
}
SEC("cgroup/recvmsg6")
int recvmsg6(struct bpf_sock_addr* ctx) {
  return socket_show_peer(ctx, 1);
}
SEC("cgroup/getpeername4")
int getpeername4(struct bpf_sock_addr* ctx) {
  return socket_show_peer(ctx, 0);
}
SEC("cgroup/getpeername6")
int getpeername6(struct bpf_sock_addr* ctx) {
  return socket_show_peer(ctx, 1);
}

SEC("cgroup/sock_release")
int sock_release(struct bpf_sock* sk) {
  if (sk->protocol == IPPROTO_TCP) {
    __u64 cookie = bpf_get_socket_cookie(sk);
    /* Most are of no service, and deleting takes a lock also where there is nothing. */
    if (bpf_map_lookup_elem(&connected, &cookie)) {
      bpf_map_delete_elem(&connected, &cookie);
    }
  }
  return SOCKET_GO_ON;
}

#endif
