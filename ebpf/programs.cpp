// SPDX-License-Identifier: Apache-2.0
#include "ebpf/programs.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>

#include "common/log.h"
#include "ebpf/batch.h"
#include "ebpf/local_sources.h"
#include "ebpf/services.skel.h"

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

thread_local std::string load_log;

int keep_log(libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG) {
    return 0;
  }
  char line[2048];
  int length = vsnprintf(line, sizeof line, format, arguments);
  if (length > 0) {
    load_log.append(line, std::min<size_t>(length, sizeof line - 1));
  }
  return length;
}

// The verifier's last words say which instruction and why.
std::string last_lines(const std::string& text) {
  size_t start = text.size();
  for (int lines = 0; lines < 12 && start > 0; lines++) {
    start = text.rfind('\n', start - 1) == text.npos ? 0 : text.rfind('\n', start - 1);
  }
  return text.substr(start);
}

struct PinnedMap {
  bpf_map* map;
  uint32_t rows;  // 0: as in the source
};

Result<> make_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) {
    return fail_errno(error.value(), "make {}: is a bpffs mounted there?", path);
  }
  return {};
}

}  // namespace

struct Programs::Object {
  std::string folder;
  services_bpf* skeleton = nullptr;
  TableMaps tables;
  bool adopted = false;
  std::map<int, std::pair<LinkKind, bool>> attached;  // by this process: kind, XDP
  ~Object() {
    if (skeleton) {
      services_bpf__destroy(skeleton);
    }
  }

  std::string map_path(const char* name) const { return folder + "/maps/" + name; }
  std::string link_path(const std::string& name) const { return folder + "/links/" + name; }

  /// Uses the pinned map, if there is one of the same shape. True if so.
  Result<bool> reuse(bpf_map* map) const {
    auto path = map_path(bpf_map__name(map));
    Fd pinned(bpf_obj_get(path.c_str()));
    if (!pinned) {
      if (errno == ENOENT) {
        return false;
      }
      return fail_errno(errno, "open {}", path);
    }
    bpf_map_info info{};
    uint32_t size = sizeof info;
    if (bpf_obj_get_info_by_fd(pinned.get(), &info, &size) != 0) {
      return fail_errno(errno, "read {}", path);
    }
    if (info.type != bpf_map__type(map) || info.key_size != bpf_map__key_size(map) ||
        info.value_size != bpf_map__value_size(map)) {
      return fail(
          Kind::conflict,
          "{} has another layout (keys of {}, values of {} bytes; {} and {} are ours): remove {} once nothing uses it",
          path, info.key_size, info.value_size, bpf_map__key_size(map), bpf_map__value_size(map), folder);
    }
    if (bpf_map__set_max_entries(map, info.max_entries) != 0) {
      return fail_errno(errno, "size of {}", path);
    }
    if (bpf_map__reuse_fd(map, pinned.get()) != 0) {
      return fail_errno(errno, "use {}", path);
    }
    return true;
  }

  Result<> prepare_maps(const ProgramSizes& sizes) {
    auto& maps = skeleton->maps;
    const std::pair<bpf_map*, uint32_t> sized[] = {
        {maps.frontends, sizes.frontends},
        {maps.services, sizes.services},
        {maps.slots, sizes.slots},
        {maps.backends, sizes.backends},
        {maps.connections4, std::bit_ceil(sizes.connections4) / KL_CT_WAYS},
        {maps.connections6, std::bit_ceil(sizes.connections6) / KL_CT_WAYS},
    };
    for (auto [map, rows] : sized) {
      bpf_map__set_max_entries(map, std::max(rows, 1u));
    }
    bpf_map* map;
    bpf_object__for_each_map(map, skeleton->obj) {
      if (bpf_map__is_internal(map)) {
        continue;
      }
      KEELSON_TRY(bool known, reuse(map));
      if (map == maps.services) {
        adopted = known;
      }
    }
    return {};
  }

  /// What the programs hold as constants. Connections are found by the seed they were stored with.
  Result<> set_constants() {
    auto& constants = *skeleton->rodata;
    constants.connections4_mask = bpf_map__max_entries(skeleton->maps.connections4) - 1;
    constants.connections6_mask = bpf_map__max_entries(skeleton->maps.connections6) - 1;
    uint32_t seed = 0;
    if (adopted) {
      uint32_t row = 0;
      kl_config config{};
      if (bpf_map_lookup_elem(bpf_map__fd(skeleton->maps.config), &row, &config) == 0) {
        seed = config.hash_seed;
      }
    }
    if (seed == 0 && getrandom(&seed, sizeof seed, 0) != sizeof seed) {
      return fail_errno(errno, "random seed");
    }
    constants.hash_seed = seed | 1;
    constants.have_coarse_clock =
        libbpf_probe_bpf_helper(BPF_PROG_TYPE_SCHED_CLS, BPF_FUNC_ktime_get_coarse_ns, nullptr) == 1;
    constants.have_set_retval =
        libbpf_probe_bpf_helper(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_set_retval, nullptr) == 1;
    return {};
  }

  Result<> pin_maps() const {
    KEELSON_DO(make_folder(folder + "/maps"));
    KEELSON_DO(make_folder(folder + "/links"));
    bpf_map* map;
    bpf_object__for_each_map(map, skeleton->obj) {
      if (bpf_map__is_internal(map)) {
        continue;
      }
      auto path = map_path(bpf_map__name(map));
      if (access(path.c_str(), F_OK) == 0) {
        continue;
      }
      if (bpf_obj_pin(bpf_map__fd(map), path.c_str()) != 0) {
        return fail_errno(errno, "pin {}", path);
      }
    }
    return {};
  }
};

Programs::Programs(std::unique_ptr<Object> object) : object_(std::move(object)) {}
Programs::Programs(Programs&&) noexcept = default;
Programs& Programs::operator=(Programs&&) noexcept = default;
Programs::~Programs() = default;

Result<Programs> Programs::load(const ProgramOptions& options) {
  libbpf_set_print(keep_log);
  load_log.clear();
  auto object = std::make_unique<Object>();
  object->folder = fmt::format("{}/services-{}", options.pin_folder, KEELSON_LAYOUT);
  object->skeleton = services_bpf__open();
  if (!object->skeleton) {
    return fail_errno(errno, "open the BPF object");
  }
  KEELSON_DO(object->prepare_maps(options.sizes));
  KEELSON_DO(object->set_constants());
  for (bpf_program* program = nullptr; (program = bpf_object__next_program(object->skeleton->obj, program));) {
    bpf_program__set_autoattach(program, false);
  }
  if (services_bpf__load(object->skeleton) != 0) {
    int error = errno;
    return fail_errno(error, "this kernel refuses the BPF programs; what runs already is left as it is. {}",
                      last_lines(load_log));
  }
  KEELSON_DO(object->pin_maps());
  const auto& maps = object->skeleton->maps;
  object->tables = {bpf_map__fd(maps.frontends),      bpf_map__fd(maps.services),
                    bpf_map__fd(maps.slots),          bpf_map__fd(maps.backends),
                    bpf_map__fd(maps.source_ranges),  bpf_map__max_entries(maps.services),
                    bpf_map__max_entries(maps.slots), bpf_map__max_entries(maps.backends)};
  return Programs(std::move(object));
}

const TableMaps& Programs::table_maps() const {
  return object_->tables;
}
bool Programs::adopted() const {
  return object_->adopted;
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
      (settings.left_netns.empty() ? 0u : KL_CONFIG_SOME_NETNS_LEFT);
  config.tunnel_port = htons(settings.tunnel_port);
  config.events_per_second = settings.events_per_second;
  config.hash_seed = object_->skeleton->rodata->hash_seed;
  const auto& times = settings.times;
  const Duration datagram[] = {times.udp, times.udp_stream, times.udp_stream, times.udp_stream};
  const Duration stream[] = {times.tcp_opening, times.tcp_established, times.tcp_closing, times.tcp_closing};
  for (int state = 0; state < 4; state++) {
    config.timeout[0][state] = kl_time(datagram[state]);
    config.timeout[1][state] = kl_time(stream[state]);
  }
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

// Replaces the program behind a pinned link, or makes the link.
Result<> Programs::attach(const std::string& pin, const char* name, int target, int attach_type, uint32_t flags) {
  auto path = object_->link_path(pin);
  int fd = program(name);
  Fd link(bpf_obj_get(path.c_str()));
  if (link) {
    bpf_link_info info{};
    uint32_t size = sizeof info;
    // The id is a link's last sign of its target: 0 once the interface is gone.
    if (bpf_link_update(link.get(), fd, nullptr) == 0 && bpf_obj_get_info_by_fd(link.get(), &info, &size) == 0) {
      return {};
    }
    if (unlink(path.c_str()) != 0) {
      return fail_errno(errno, "remove {}", path);
    }
  }
  LIBBPF_OPTS(bpf_link_create_opts, options, .flags = flags);
  link.reset(bpf_link_create(fd, target, static_cast<bpf_attach_type>(attach_type), &options));
  if (!link) {
    return fail_errno(errno, "attach {} as {}", name, pin);
  }
  if (bpf_obj_pin(link.get(), path.c_str()) != 0) {
    return fail_errno(errno, "pin {}", path);
  }
  return {};
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
    KEELSON_DO(attach(name, name, directory.get(), type, 0).context("cgroup {}", cgroup));
  }
  return {};
}

Result<> Programs::attach_link(int ifindex, LinkKind kind, bool xdp) {
  if (auto known = object_->attached.find(ifindex);
      known != object_->attached.end() && known->second == std::pair(kind, xdp)) {
    return {};
  }
  auto key = static_cast<uint32_t>(ifindex), value = static_cast<uint32_t>(kind);
  if (bpf_map_update_elem(map("links"), &key, &value, BPF_ANY) != 0) {
    return fail_errno(errno, "links map");
  }
  auto pin = fmt::format("link-{}-", ifindex);
  // Ingress first: what came in unseen would be taken for the node's own where it leaves, and keep its source.
  KEELSON_DO(
      attach(pin + "ingress", kind == LinkKind::pod ? "pod_ingress" : "uplink_ingress", ifindex, kTcxIngress, 0));
  KEELSON_DO(attach(pin + "egress", "node_egress", ifindex, kTcxEgress, 0));
  if (kind == LinkKind::uplink && xdp) {
    KEELSON_DO(attach(pin + "xdp", "uplink_xdp", ifindex, BPF_XDP, XDP_FLAGS_DRV_MODE));
  }
  return {};
}

Result<> Programs::detach_link(int ifindex) {
  object_->attached.erase(ifindex);
  auto key = static_cast<uint32_t>(ifindex);
  bpf_map_delete_elem(map("links"), &key);
  for (const char* hook : {"ingress", "egress", "xdp"}) {
    auto path = object_->link_path(fmt::format("link-{}-{}", ifindex, hook));
    if (unlink(path.c_str()) != 0 && errno != ENOENT) {
      return fail_errno(errno, "remove {}", path);
    }
  }
  return {};
}

std::vector<int> Programs::attached_links() const {
  std::vector<int> result;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(object_->folder + "/links", error)) {
    int ifindex = 0;
    if (sscanf(entry.path().filename().c_str(), "link-%d-", &ifindex) == 1) {
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
  auto* found = bpf_object__find_program_by_name(object_->skeleton->obj, name.c_str());
  return found ? bpf_program__fd(found) : -1;
}

int Programs::map(const std::string& name) const {
  return bpf_object__find_map_fd_by_name(object_->skeleton->obj, name.c_str());
}

Result<> Programs::remove(const std::string& pin_folder) {
  std::error_code error;
  fs::remove_all(fmt::format("{}/services-{}", pin_folder, KEELSON_LAYOUT), error);
  if (error) {
    return fail_errno(error.value(), "remove the pins in {}", pin_folder);
  }
  return {};
}

}  // namespace keelson::ebpf
