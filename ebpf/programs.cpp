// SPDX-License-Identifier: Apache-2.0
#include "ebpf/programs.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "common/log.h"
#include "ebpf/batch.h"
#include "ebpf/hooks.h"
#include "ebpf/local_sources.h"
#include "ebpf/object.h"
#include "ebpf/pinned_links.h"
#include "ebpf/takeover.h"

namespace keelson::ebpf {
namespace {

namespace fs = std::filesystem;

// Newer than the headers of Debian 12.
constexpr int kTcxIngress = 46;
constexpr int kTcxEgress = 47;

// In kl_time, which goes round in 52 days.
uint32_t kl_time(Duration duration) {
  return static_cast<uint32_t>(std::min<Duration>(duration, std::chrono::days(20)).count() >> KL_TIME_SHIFT);
}

const char* const kConnections[] = {"connections4", "connections6"};
constexpr Duration kMostSeenStep = std::chrono::seconds(4);
// Connections are moved, and ask for their next hops anew; a fragment waits for milliseconds.
const char* const kNotCopied[] = {"connections4", "connections6", "fragments", "next_hops", "transition", "moved"};
// Programs that may be taken over from, by their row in predecessors_tc.
const char* const kTcHooks[KL_AFTER_COUNT] = {"pod_ingress", "uplink_ingress", "node_egress"};
const char* const kPacketHooks[] = {"pod_ingress", "uplink_ingress", "node_egress", "uplink_xdp"};

// Held by the process that may change what is pinned.
Result<Fd> lock(const std::string& pins) {
  KEELSON_TRY(auto folder, open_file(pins, O_RDONLY | O_DIRECTORY));
  if (flock(folder.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return fail(Kind::conflict, "another process has {}: stop it, or give this one another --bpf-dir", pins);
    }
    return fail_errno(errno, "lock {}", pins);
  }
  return folder;
}

}  // namespace

struct Programs::State {
  State(const ProgramOptions& options, ServicesObject loaded)
      : pins(options.pin_folder + "/services"),
        links(pins + "/links", options.classic_tc),
        object(std::move(loaded)),
        generation(pins, 1) {}

  std::string pins;
  Fd locked;
  PinnedLinks links;
  ServicesObject object;
  Generation generation;
  TableMaps tables;
  bool adopted = false;
  std::map<int, std::pair<LinkKind, bool>> attached;  // by this process: kind, XDP

  Result<std::vector<Source>> find_sources();
  Result<uint32_t> seed_of(const Source& source);
  Result<> bring_up(const std::vector<Source>& sources, const ProgramSizes& sizes);
  Result<> clean_up();
  Result<> copy_tables(const Source& from);
  Result<> move_connections(const std::vector<Source>& sources);
  Result<> set_predecessors(const Generation& before);
  Result<> pin_programs(const char* suffix);
  Result<> replace_programs(const char* suffix);
  std::string program_of_link(const std::string& name);
  void describe_tables();
};

// Those whose rows count, the newest first: it alone, unless it was still taking over.
Result<std::vector<Source>> Programs::State::find_sources() {
  auto all = Generation::list(pins);
  std::vector<Source> sources;
  bool more = true;
  for (auto each = all.rbegin(); each != all.rend(); ++each) {
    if (!each->is_complete() || each->phase() == KL_PHASE_FOLLOW) {
      continue;  // it never decided anything
    }
    if (more) {
      KEELSON_TRY(auto theirs, each->layout());
      sources.push_back({*each, std::move(theirs)});
      more = each->phase() == KL_PHASE_LEAD;
    }
  }
  generation = Generation(pins, all.empty() ? 1 : all.back().number() + 1);
  return sources;
}

std::string Programs::State::program_of_link(const std::string& name) {
  int ifindex = PinnedLinks::ifindex_of(name);
  if (ifindex == 0) {
    return name;
  }
  if (name.ends_with("-xdp")) {
    return "uplink_xdp";
  }
  if (name.ends_with("-egress")) {
    return "node_egress";
  }
  auto key = static_cast<uint32_t>(ifindex), kind = 0u;
  bpf_map_lookup_elem(object.map("links"), &key, &kind);
  return kind == KL_LINK_POD ? "pod_ingress" : "uplink_ingress";
}

Result<> Programs::State::pin_programs(const char* suffix) {
  for (const char* hook : kPacketHooks) {
    KEELSON_DO(generation.pin_program(object.program(std::string(hook) + suffix), hook));
  }
  return {};
}

Result<> Programs::State::replace_programs(const char* suffix) {
  return links.replace([&](const std::string& name) {
    auto program = program_of_link(name);
    bool of_packets = PinnedLinks::ifindex_of(name) != 0;
    return object.program(of_packets ? program + suffix : program);
  });
}

Result<> Programs::State::copy_tables(const Source& from) {
  for (const auto& map : object.maps()) {
    Fd theirs = from.generation.map(map.name);
    auto form = from.layout.maps.find(map.name);
    if (object.reuses(map.name) || std::ranges::find(kNotCopied, map.name) != std::end(kNotCopied) || !theirs ||
        form == from.layout.maps.end()) {
      continue;
    }
    if (map.name == "counters") {
      KEELSON_DO(copy_counters(theirs.get(), map.fd));
    }
    if (!map.has_rows) {
      continue;
    }
    KEELSON_DO(copy_rows(theirs.get(), form->second, map.fd, object.layout().maps.at(map.name))
                   .context("carry over the map {}", map.name));
  }
  return {};
}

Result<> Programs::State::set_predecessors(const Generation& before) {
  for (uint32_t row = 0; row < KL_AFTER_COUNT; row++) {
    Fd program = before.program(kTcHooks[row]);
    int fd = program.get();
    if (!program || bpf_map_update_elem(object.map("predecessors_tc"), &row, &fd, BPF_ANY) != 0) {
      return fail_errno(errno, "the program before {}", kTcHooks[row]);
    }
  }
  Fd program = before.program("uplink_xdp");
  int fd = program.get();
  uint32_t row = 0;
  if (!program || bpf_map_update_elem(object.map("predecessors_xdp"), &row, &fd, BPF_ANY) != 0) {
    return fail_errno(errno, "the program before uplink_xdp");
  }
  return {};
}

// The steps are those of bpf/transition.h and LAYOUT.md. Killed between any two, the next load starts over with what
// find_sources() says.
Result<> Programs::State::move_connections(const std::vector<Source>& sources) {
  const auto& forms = object.layout().maps;
  KEELSON_TRY(auto mover, ConnectionMover::open(object.map("transition"), object.map("moved"), forms.at("moved").value,
                                                object.program("store_moved")));
  auto move_all = [&]() -> Result<> {
    for (const char* table : kConnections) {
      // That of the newest may be ours, too.
      auto others = std::span(sources).subspan(object.reuses(table) ? 1 : 0);
      KEELSON_TRY([[maybe_unused]] auto stored, mover.move(others, table));
    }
    return {};
  };
  int config = object.map("config");
  KEELSON_TRY(auto ports, nat_ports(config, forms.at("config").value));
  KEELSON_DO(set_nat_ports(config, forms.at("config").value, ports.upper()));
  for (const auto& source : sources) {
    Fd theirs = source.generation.map("config");
    KEELSON_DO(set_nat_ports(theirs.get(), source.layout.maps.at("config").value, ports.lower()));
  }
  KEELSON_DO(move_all());
  KEELSON_DO(replace_programs("_after"));
  KEELSON_DO(mover.set_phase(KL_PHASE_LEAD));
  KEELSON_DO(move_all());
  KEELSON_DO(copy_tables(sources.front()));
  KEELSON_DO(mover.set_phase(KL_PHASE_ALONE));
  return set_nat_ports(config, forms.at("config").value, ports);
}

Result<uint32_t> Programs::State::seed_of(const Source& source) {
  Fd config = source.generation.map("config");
  auto form = source.layout.maps.find("config");
  if (!config || form == source.layout.maps.end()) {
    return fail(Kind::invalid, "what is pinned in {} has no configuration map", pins);
  }
  std::vector<std::byte> row(form->second.value.size);
  uint32_t key = 0;
  if (bpf_map_lookup_elem(config.get(), &key, row.data()) != 0) {
    return fail_errno(errno, "read the configuration map");
  }
  return static_cast<uint32_t>(read_number(form->second.value, row.data(), "hash_seed"));
}

// In the place of `sources`, the newest first; of none: anew.
Result<> Programs::State::bring_up(const std::vector<Source>& sources, const ProgramSizes& sizes) {
  const Source* before = sources.empty() ? nullptr : &sources.front();
  KEELSON_DO(object.set_sizes(sizes, before));
  uint32_t seed = 0;
  if (before) {
    KEELSON_TRY(seed, seed_of(*before));
  }
  KEELSON_DO(object.load(seed));
  bool moves = object.moves_connections();
  KEELSON_DO(generation.make());
  for (const auto& map : object.maps()) {
    KEELSON_DO(generation.pin_map(map.fd, map.name));
  }
  KEELSON_DO(pin_programs(moves ? "_after" : ""));
  if (before) {
    KEELSON_DO(copy_tables(*before));
  }
  if (moves) {
    KEELSON_DO(set_predecessors(before->generation));
  }
  KEELSON_DO(generation.pin_layout(object.encoded_layout()));
  if (moves) {
    KEELSON_DO(move_connections(sources));
  }
  KEELSON_DO(replace_programs(""));
  return clean_up();
}

// Nothing of what was before is used any more.
Result<> Programs::State::clean_up() {
  for (const auto& old : Generation::list(pins)) {
    if (old.number() != generation.number()) {
      KEELSON_DO(old.remove());
    }
  }
  if (!object.moves_connections()) {
    return {};
  }
  KEELSON_DO(pin_programs(""));
  // They would keep the programs before, and these their maps.
  for (uint32_t row = 0; row < KL_AFTER_COUNT; row++) {
    bpf_map_delete_elem(object.map("predecessors_tc"), &row);
    bpf_map_delete_elem(object.map("predecessors_xdp"), &row);
  }
  for (const char* map : {"predecessors_tc", "predecessors_xdp", "moved", "transition"}) {
    KEELSON_DO(generation.unpin_map(map));
  }
  return {};
}

void Programs::State::describe_tables() {
  tables = {object.map("frontends"),     object.map("services"),  object.map("slots"),  object.map("backends"),
            object.map("source_ranges"), object.rows("services"), object.rows("slots"), object.rows("backends")};
}

Programs::Programs(std::unique_ptr<State> state) : state_(std::move(state)) {}
Programs::Programs(Programs&&) noexcept = default;
Programs& Programs::operator=(Programs&&) noexcept = default;
Programs::~Programs() = default;

Result<Programs> Programs::load(const ProgramOptions& options) {
  KEELSON_TRY(auto object, ServicesObject::open());
  auto state = std::make_unique<State>(options, std::move(object));
  KEELSON_DO(state->links.make());
  KEELSON_TRY(state->locked, lock(state->pins));
  KEELSON_TRY(auto sources, state->find_sources());
  if (!sources.empty()) {
    state->adopted = true;
    KEELSON_DO(state->object.reuse(sources.front(), nullptr));
    if (sources.size() > 1) {
      state->object.move_connections();
    }
  }
  KEELSON_DO(state->bring_up(sources, options.sizes));
  state->describe_tables();
  return Programs(std::move(state));
}

const TableMaps& Programs::table_maps() const {
  return state_->tables;
}
bool Programs::adopted() const {
  return state_->adopted;
}

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
  config.hash_seed = state_->object.hash_seed();
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

Result<> Programs::attach_sockets(const std::string& cgroup) {
  KEELSON_TRY(auto directory, open_file(cgroup, O_RDONLY | O_DIRECTORY));
  const std::pair<const char*, bpf_attach_type> hooks[] = {
      // What shows the service comes first: no process may see a backend.
      {"getpeername4", BPF_CGROUP_INET4_GETPEERNAME}, {"getpeername6", BPF_CGROUP_INET6_GETPEERNAME},
      {"recvmsg4", BPF_CGROUP_UDP4_RECVMSG},          {"recvmsg6", BPF_CGROUP_UDP6_RECVMSG},
      {"connect4", BPF_CGROUP_INET4_CONNECT},         {"connect6", BPF_CGROUP_INET6_CONNECT},
      {"sendmsg4", BPF_CGROUP_UDP4_SENDMSG},          {"sendmsg6", BPF_CGROUP_UDP6_SENDMSG}};
  for (auto [name, type] : hooks) {
    KEELSON_DO(state_->links.attach(name, program(name), {directory.get(), type}).context("cgroup {}", cgroup));
  }
  return {};
}

Result<> Programs::attach_link(int ifindex, LinkKind kind, bool xdp) {
  if (auto known = state_->attached.find(ifindex);
      known != state_->attached.end() && known->second == std::pair(kind, xdp)) {
    return {};
  }
  auto key = static_cast<uint32_t>(ifindex), value = static_cast<uint32_t>(kind);
  if (bpf_map_update_elem(map("links"), &key, &value, BPF_ANY) != 0) {
    return fail_errno(errno, "links map");
  }
  auto pin = fmt::format("link-{}-", ifindex);
  const auto& links = state_->links;
  // Ingress first: what came in unseen would be taken for the node's own where it leaves, and keep its source.
  const char* ingress = kind == LinkKind::pod ? "pod_ingress" : "uplink_ingress";
  KEELSON_DO(links.attach(pin + "ingress", program(ingress), {ifindex, kTcxIngress}));
  KEELSON_DO(links.attach(pin + "egress", program("node_egress"), {ifindex, kTcxEgress}));
  if (kind == LinkKind::uplink && xdp) {
    KEELSON_DO(links.attach(pin + "xdp", program("uplink_xdp"), {ifindex, BPF_XDP, XDP_FLAGS_DRV_MODE}));
  }
  return {};
}

Result<> Programs::detach_link(int ifindex) {
  state_->attached.erase(ifindex);
  auto key = static_cast<uint32_t>(ifindex);
  bpf_map_delete_elem(map("links"), &key);
  for (const char* hook : {"ingress", "egress", "xdp"}) {
    KEELSON_DO(state_->links.detach(fmt::format("link-{}-{}", ifindex, hook)));
  }
  return {};
}

std::vector<int> Programs::attached_links() const {
  std::vector<int> result;
  for (const auto& name : state_->links.names()) {
    if (int ifindex = PinnedLinks::ifindex_of(name)) {
      result.push_back(ifindex);
    }
  }
  std::ranges::sort(result);
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

Result<std::vector<uint64_t>> Programs::counters() const {
  std::vector<uint64_t> sums(KL_COUNTERS), each(libbpf_num_possible_cpus());
  for (uint32_t i = 0; i < KL_COUNTERS; i++) {
    if (bpf_map_lookup_elem(map("counters"), &i, each.data()) != 0) {
      return fail_errno(errno, "read the counters");
    }
    for (auto value : each) {
      sums[i] += value;
    }
  }
  return sums;
}

int Programs::program(const std::string& name) const {
  return state_->object.program(name);
}

int Programs::map(const std::string& name) const {
  return state_->object.map(name);
}

Result<> Programs::remove(const std::string& pin_folder) {
  return remove_pins(pin_folder + "/services");
}

}  // namespace keelson::ebpf
