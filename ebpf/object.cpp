// SPDX-License-Identifier: Apache-2.0
#include "ebpf/object.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <sys/random.h>

#include <algorithm>
#include <bit>
#include <set>

#include "ebpf/features.h"
#include "ebpf/services.skel.h"

namespace keelson::ebpf {
namespace {

// Filled by sockets as they are used, and read by them alone. Their form never changes.
const std::set<std::string> kOfSockets{"sockets", "connected", "peers"};
// Their rows name rows of next_hops, as those of routes do.
const std::set<std::string> kConnections{"connections4", "connections6"};
// Only while connections are moved.
const std::set<std::string> kOfTransition{"transition", "moved", "storing", "predecessors_tc", "predecessors_xdp"};

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

uint32_t buckets_for(uint32_t rows) {
  return std::bit_ceil(std::max((rows + KL_CT_WAYS - 1) / KL_CT_WAYS, 1u));
}

// Rows of a map by its name; 0: as in the source.
uint32_t wanted_rows(const ProgramSizes& sizes, const std::string& map) {
  if (map == "connections4") {
    return buckets_for(sizes.connections4);
  }
  if (map == "connections6") {
    return buckets_for(sizes.connections6);
  }
  const std::pair<const char*, uint32_t> tables[] = {{"frontends", sizes.frontends},
                                                     {"services", sizes.services},
                                                     {"slots", sizes.slots},
                                                     {"backends", sizes.backends}};
  for (auto [name, rows] : tables) {
    if (map == name) {
      // The name of a backend has no more bits for its row.
      return std::clamp(rows, 1u, map == "backends" ? 1u << KL_BACKEND_ROW_BITS : UINT32_MAX);
    }
  }
  return 0;
}

Result<bpf_map_info> info_of(int map, const std::string& name) {
  bpf_map_info info{};
  uint32_t size = sizeof info;
  if (bpf_obj_get_info_by_fd(map, &info, &size) != 0) {
    return fail_errno(errno, "read the map {}", name);
  }
  return info;
}

bool is_transitional(const std::string& program) {
  return program.ends_with("_after") || program == "store_moved";
}

}  // namespace

Result<ServicesObject> ServicesObject::open() {
  libbpf_set_print(keep_log);
  load_log.clear();
  ServicesObject object;
  object.skeleton_.reset(services_bpf__open());
  if (!object.skeleton_) {
    return fail_errno(errno, "open the BPF object");
  }
  KEELSON_TRY(object.layout_, Layout::of(bpf_object__btf(object.skeleton_->obj), KEELSON_LAYOUT, KL_TIME_SHIFT));
  return object;
}

void ServicesObject::Destroy::operator()(services_bpf* skeleton) const {
  services_bpf__destroy(skeleton);
}

void ServicesObject::forget_code() {
  skeleton_.reset();
  layout_ = {};
}

std::vector<std::byte> ServicesObject::encoded_layout() const {
  return Layout::encode(bpf_object__btf(skeleton_->obj), KEELSON_LAYOUT, KL_TIME_SHIFT);
}

Result<bool> ServicesObject::reuse(bpf_map* map, const Source& source, const ProgramSizes* sizes) {
  std::string name = bpf_map__name(map);
  Fd pinned = source.generation.map(name);
  auto theirs = source.layout.maps.find(name);
  if (!pinned || theirs == source.layout.maps.end()) {
    return false;
  }
  KEELSON_TRY(auto info, info_of(pinned.get(), name));
  bool same = info.type == bpf_map__type(map) && info.key_size == bpf_map__key_size(map) &&
              info.value_size == bpf_map__value_size(map) && theirs->second == layout_.maps[name];
  bool of_sockets = kOfSockets.contains(name);
  if (of_sockets && !same) {
    return fail(Kind::conflict, "the form of the map {} has changed, which it must not: open sockets depend on it",
                name);
  }
  if (!of_sockets &&
      (!same || source.layout.number != layout_.number || (sizes && wanted_rows(*sizes, name) > info.max_entries))) {
    return false;
  }
  if (bpf_map__set_max_entries(map, info.max_entries) != 0 || bpf_map__reuse_fd(map, pinned.get()) != 0) {
    return fail_errno(errno, "use the map {}", name);
  }
  return true;
}

Result<> ServicesObject::reuse(const Source& source, const ProgramSizes* sizes) {
  auto reuse_all = [&](auto&& wanted) -> Result<> {
    bpf_map* map;
    bpf_object__for_each_map(map, skeleton_->obj) {
      std::string name = bpf_map__name(map);
      if (bpf_map__is_internal(map) || kOfTransition.contains(name) || !wanted(name)) {
        continue;
      }
      KEELSON_TRY(bool known, reuse(map, source, sizes));
      if (known) {
        reused_.push_back(name);
      }
    }
    return {};
  };
  KEELSON_DO(reuse_all([](const std::string& name) { return name == "next_hops"; }));
  bool next_hops = reuses("next_hops");
  KEELSON_DO(reuse_all([&](const std::string& name) { return next_hops && kConnections.contains(name); }));
  moves_connections_ |= !reuses("connections4") || !reuses("connections6");
  // Programs before and after give out other ports while connections move, so each have a configuration of their own.
  return reuse_all([&](const std::string& name) {
    return name != "next_hops" && !kConnections.contains(name) && (next_hops || name != "routes") &&
           !(moves_connections_ && name == "config");
  });
}

bool ServicesObject::reuses(const std::string& map) const {
  return std::ranges::find(reused_, map) != reused_.end();
}

Result<> ServicesObject::set_sizes(const ProgramSizes& sizes, const Source* source) {
  bpf_map* map;
  bpf_object__for_each_map(map, skeleton_->obj) {
    std::string name = bpf_map__name(map);
    uint32_t rows = wanted_rows(sizes, name);
    if (rows == 0 || reuses(name)) {
      continue;
    }
    Fd theirs = source ? source->generation.map(name) : Fd();
    if (theirs) {
      KEELSON_TRY(auto info, info_of(theirs.get(), name));
      const auto& form = source->layout.maps.at(name);
      uint32_t have = info.max_entries;
      if (form.bucket) {
        have = buckets_for(have * form.bucket->where.count);
      }
      rows = std::max(rows, have);
    }
    bpf_map__set_max_entries(map, rows);
  }
  return {};
}

Result<> ServicesObject::load(uint32_t hash_seed) {
  auto& constants = *skeleton_->rodata;
  constants.connections4_mask = bpf_map__max_entries(skeleton_->maps.connections4) - 1;
  constants.connections6_mask = bpf_map__max_entries(skeleton_->maps.connections6) - 1;
  if (hash_seed == 0 && getrandom(&hash_seed, sizeof hash_seed, 0) != sizeof hash_seed) {
    return fail_errno(errno, "random seed");
  }
  constants.hash_seed = hash_seed | 1;
#ifdef __x86_64__
  constants.loads_in_order = 1;
#endif
  constants.have_coarse_clock = has_coarse_clock();
  constants.have_set_retval = has_set_retval();
  constants.have_sock_release = has_sock_release();
  for (bpf_program* program = nullptr; (program = bpf_object__next_program(skeleton_->obj, program));) {
    bpf_program__set_autoattach(program, false);
    bpf_program__set_autoload(program, moves_connections_ || !is_transitional(bpf_program__name(program)));
  }
  bpf_program__set_autoload(skeleton_->progs.sock_release, constants.have_sock_release);
  bpf_map* map;
  bpf_object__for_each_map(map, skeleton_->obj) {
    if (kOfTransition.contains(bpf_map__name(map))) {
      bpf_map__set_autocreate(map, moves_connections_);
    }
  }
  if (services_bpf__load(skeleton_.get()) != 0) {
    int error = errno;
    auto log = last_lines(std::exchange(load_log, ""));  // probing adds to it
    auto missing = missing_features(probe_features());
    return fail_errno(error, "this kernel refuses the BPF programs; what runs already is left as it is. {}{}",
                      missing.empty() ? "" : fmt::format("It has no {}. ", missing), log);
  }
  return keep_descriptors();
}

Result<> ServicesObject::keep_descriptors() {
  bpf_map* map;
  bpf_object__for_each_map(map, skeleton_->obj) {
    if (bpf_map__is_internal(map) || bpf_map__fd(map) < 0) {
      continue;
    }
    auto type = bpf_map__type(map);
    bool has_rows = type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_LRU_HASH ||
                    type == BPF_MAP_TYPE_LPM_TRIE;
    KEELSON_TRY(auto descriptor, duplicate(bpf_map__fd(map)));
    maps_.push_back({bpf_map__name(map), descriptor.get(), has_rows});
    descriptors_.push_back(std::move(descriptor));
  }
  for (bpf_program* program = nullptr; (program = bpf_object__next_program(skeleton_->obj, program));) {
    if (bpf_program__fd(program) >= 0) {
      KEELSON_TRY(auto descriptor, duplicate(bpf_program__fd(program)));
      programs_[bpf_program__name(program)] = descriptor.get();
      descriptors_.push_back(std::move(descriptor));
    }
  }
  const auto& sized = skeleton_->maps;
  sizes_ = {.frontends = bpf_map__max_entries(sized.frontends),
            .services = bpf_map__max_entries(sized.services),
            .slots = bpf_map__max_entries(sized.slots),
            .backends = bpf_map__max_entries(sized.backends),
            .connections4 = bpf_map__max_entries(sized.connections4) * KL_CT_WAYS,
            .connections6 = bpf_map__max_entries(sized.connections6) * KL_CT_WAYS};
  hash_seed_ = skeleton_->rodata->hash_seed;
  return {};
}

int ServicesObject::map(const std::string& name) const {
  auto found = std::ranges::find(maps_, name, &Map::name);
  return found == maps_.end() ? -1 : found->fd;
}

int ServicesObject::program(const std::string& name) const {
  auto found = programs_.find(name);
  return found == programs_.end() ? -1 : found->second;
}

}  // namespace keelson::ebpf
