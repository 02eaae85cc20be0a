// SPDX-License-Identifier: Apache-2.0
#include "ebpf/programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>

#include "ebpf/hooks.h"
#include "ebpf/pinned_links.h"
#include "ebpf/socket_hooks.h"
#include "ebpf/succession.h"

namespace keelson::ebpf {
namespace {

// Newer than the headers of Debian 12.
constexpr int kTcxIngress = 46;
constexpr int kTcxEgress = 47;

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
  State(std::string pinned, PinnedLinks hooks, Fd lock, Succession done)
      : pins(std::move(pinned)),
        locked(std::move(lock)),
        links(std::move(hooks)),
        current(std::move(done)),
        adopted(current.predecessor() != 0) {
    describe_tables();
  }
  void describe_tables();

  std::string pins;
  Fd locked;
  PinnedLinks links;
  Succession current;
  bool adopted;
  TableMaps tables;
  std::map<int, std::pair<LinkKind, bool>> attached;  // by this process: kind, XDP
};

void Programs::State::describe_tables() {
  const auto& object = current.object();
  auto map = [&](const char* name) { return object.map(name); };
  const auto rows = object.sizes();
  tables = {map("frontends"), map("services"), map("slots"), map("backends"), map("source_ranges"),
            rows.frontends,   rows.services,   rows.slots,   rows.backends};
}

Programs::Programs(std::unique_ptr<State> state) : state_(std::move(state)) {}
Programs::Programs(Programs&&) noexcept = default;
Programs& Programs::operator=(Programs&&) noexcept = default;
Programs::~Programs() = default;

Result<Programs> Programs::load(const ProgramOptions& options) {
  auto pins = options.pin_folder + "/services";
  PinnedLinks links(pins + "/links", options.classic_tc);
  KEELSON_DO(links.make());
  KEELSON_TRY(auto locked, lock(pins));
  KEELSON_TRY(auto succession, Succession::begin(pins));
  KEELSON_DO(succession.prepare(options.sizes, false, options.hash_seed));
  KEELSON_DO(succession.complete(links));
  return Programs(std::make_unique<State>(std::move(pins), std::move(links), std::move(locked), std::move(succession)));
}

const TableMaps& Programs::table_maps() const {
  return state_->tables;
}
bool Programs::adopted() const {
  return state_->adopted;
}
ProgramSizes Programs::sizes() const {
  return state_->current.object().sizes();
}

uint32_t Programs::generation() const {
  return state_->current.number();
}

Grower::Grower(std::string pins, const ProgramSizes& sizes) : pins_(std::move(pins)), sizes_(sizes) {}
Grower::Grower(Grower&&) noexcept = default;
Grower& Grower::operator=(Grower&&) noexcept = default;
Grower::~Grower() = default;

Result<> Grower::prepare() {
  KEELSON_TRY(auto next, Succession::begin(pins_));
  KEELSON_DO(next.prepare(sizes_, true));
  next_ = std::make_unique<Succession>(std::move(next));
  return {};
}

Grower Programs::grower(const ProgramSizes& sizes) const {
  return Grower(state_->pins, sizes);
}

Result<> Programs::grow(Grower prepared) {
  if (!prepared.next_ || prepared.next_->predecessor() != generation()) {
    return fail(Kind::conflict, "larger maps were made for others than those that are there now");
  }
  auto done = prepared.next_->complete(state_->links);
  if (prepared.next_->leads()) {
    state_->current = std::move(*prepared.next_);
    state_->describe_tables();
  }
  return done;
}

Result<> Programs::attach_sockets(const std::string& cgroup) {
  KEELSON_TRY(auto directory, open_file(cgroup, O_RDONLY | O_DIRECTORY));
  for (auto [name, type] : kSocketHooks) {
    int hook = program(name);
    if (hook < 0 && type == BPF_CGROUP_INET_SOCK_RELEASE) {
      continue;  // the kernel has none
    }
    KEELSON_DO(state_->links.attach(name, hook, {directory.get(), type}).context("cgroup {}", cgroup));
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
  return state_->current.object().program(name);
}

uint32_t Programs::hash_seed() const {
  return state_->current.object().hash_seed();
}

int Programs::map(const std::string& name) const {
  return state_->current.object().map(name);
}

std::vector<std::pair<std::string, int>> Programs::maps() const {
  std::vector<std::pair<std::string, int>> result;
  for (const auto& map : state_->current.object().maps()) {
    result.emplace_back(map.name, map.fd);
  }
  return result;
}

Result<> Programs::remove(const std::string& pin_folder) {
  return remove_pins(pin_folder + "/services");
}

}  // namespace keelson::ebpf
