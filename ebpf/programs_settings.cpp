// SPDX-License-Identifier: Apache-2.0
// What programs are told of the node.
#include <arpa/inet.h>
#include <bpf/bpf.h>

#include <algorithm>
#include <cstring>

#include "ebpf/batch.h"
#include "ebpf/local_sources.h"
#include "ebpf/programs.h"

namespace keelson::ebpf {
namespace {

// In kl_time, which goes round in 52 days.
uint32_t kl_time(Duration duration) {
  return static_cast<uint32_t>(std::min<Duration>(duration, std::chrono::days(20)).count() >> KL_TIME_SHIFT);
}

constexpr Duration kMostSeenStep = std::chrono::seconds(4);

}  // namespace

// A map of keys alone.
template <class Key>
Result<> Programs::write_set(const char* name, const std::vector<Key>& keys) {
  auto is_wanted = [&](const Key& key) {
    return std::ranges::any_of(keys, [&](const Key& each) { return std::memcmp(&each, &key, sizeof key) == 0; });
  };
  std::vector<Key> gone;
  KEELSON_DO(for_each_row(map(name), sizeof(Key), sizeof(uint32_t), [&](const void* data, const void*) {
    Key key;
    std::memcpy(&key, data, sizeof key);
    if (!is_wanted(key)) {
      gone.push_back(key);
    }
  }));
  const std::vector<uint32_t> ones(keys.size(), 1);
  KEELSON_DO(update_batch(map(name), keys.data(), ones.data(), static_cast<uint32_t>(keys.size())).context("{}", name));
  return delete_batch(map(name), gone.data(), sizeof(Key), static_cast<uint32_t>(gone.size())).context("{}", name);
}

Result<> Programs::configure(const NodeSettings& settings) {
  kl_config config{};
  config.netns_cookie = settings.netns_cookie;
  if (!settings.masquerade4.is_unspecified()) {
    config.masquerade[0] = to_kl(settings.masquerade4);
  }
  if (!settings.masquerade6.is_unspecified()) {
    config.masquerade[1] = to_kl(settings.masquerade6);
  }
  config.nat_port_first = settings.nat_port_first;
  config.nat_port_count = settings.nat_port_count;
  config.flags =
      (settings.tcp_sockets ? KL_CONFIG_TCP_SOCKET : 0u) | (settings.udp_sockets ? KL_CONFIG_UDP_SOCKET : 0u) |
      (settings.drop_events ? KL_CONFIG_DROP_EVENTS : 0u) | (settings.flow_events ? KL_CONFIG_FLOW_EVENTS : 0u) |
      (settings.node_sockets_only ? KL_CONFIG_NODE_SOCKETS_ONLY : 0u) |
      (settings.left_netns.empty() ? 0u : KL_CONFIG_SOME_NETNS_LEFT) |
      (settings.new_flows ? 0u : KL_CONFIG_NO_NEW_FLOWS) | (settings.leave_strangers ? KL_CONFIG_LEAVE_STRANGERS : 0u);
  config.tunnel_port = htons(settings.tunnel_port);
  config.events_per_second = settings.events_per_second;
  config.hash_seed = hash_seed();
  const auto& times = settings.times;
  const Duration datagram[] = {times.udp, times.udp_stream, times.udp_stream, times.udp_stream};
  const Duration stream[] = {times.tcp_opening, times.tcp_established, times.tcp_closing, times.tcp_closing};
  for (int state = 0; state < 4; state++) {
    config.timeout[0][state] = kl_time(datagram[state]);
    config.timeout[1][state] = kl_time(stream[state]);
  }
  // It costs as much as ten packets; but rows must not seem to have ended.
  config.seen_step = std::min(
      kl_time(kMostSeenStep),
      kl_time(std::min({times.udp, times.udp_stream, times.tcp_opening, times.tcp_established, times.tcp_closing})) /
          8);
  for (const auto& source : settings.local_sources) {
    config.flags |= source.address.is_v4() ? KL_CONFIG_LOCAL_SOURCES4 : KL_CONFIG_LOCAL_SOURCES6;
  }
  KEELSON_DO(add_local_sources(map("source_ranges"), settings.local_sources));
  uint32_t row = 0;
  if (bpf_map_update_elem(map("config"), &row, &config, BPF_ANY) != 0) {
    return fail_errno(errno, "write the configuration map");
  }
  KEELSON_DO(remove_local_sources_but(map("source_ranges"), settings.local_sources));
  std::vector<kl_addr> nodes;
  for (const auto& node : settings.nodes) {
    nodes.push_back(to_kl(node));
  }
  KEELSON_DO(write_set("nodes", nodes));
  return write_set("left_netns", settings.left_netns);
}

}  // namespace keelson::ebpf
