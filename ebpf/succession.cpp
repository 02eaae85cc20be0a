// SPDX-License-Identifier: Apache-2.0
#include "ebpf/succession.h"

#include <bpf/bpf.h>

#include <algorithm>

#include "ebpf/takeover.h"

namespace keelson::ebpf {
namespace {

const char* const kConnections[] = {"connections4", "connections6"};
// Connections are moved, and ask for their next hops anew; a fragment waits for milliseconds.
const char* const kNotCopied[] = {"connections4", "connections6", "fragments", "next_hops",
                                  "transition",   "moved",        "storing"};
// Programs that may be taken over from, by their row in predecessors_tc.
const char* const kTcHooks[KL_AFTER_COUNT] = {"pod_ingress", "uplink_ingress", "node_egress"};
const char* const kPacketHooks[] = {"pod_ingress", "uplink_ingress", "node_egress", "uplink_xdp"};

}  // namespace

Result<Succession> Succession::begin(std::string pins) {
  auto all = Generation::list(pins);
  // It alone whose rows count, unless it was still taking over.
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
  return Succession(std::move(pins), std::move(sources), all.empty() ? 1 : all.back().number() + 1);
}

Result<uint32_t> Succession::pinned_seed() const {
  Fd config = sources_.front().generation.map("config");
  const auto& maps = sources_.front().layout.maps;
  auto form = maps.find("config");
  if (!config || form == maps.end()) {
    return fail(Kind::invalid, "what is pinned in {} has no configuration map", pins_);
  }
  std::vector<std::byte> row(form->second.value.size);
  uint32_t key = 0;
  if (bpf_map_lookup_elem(config.get(), &key, row.data()) != 0) {
    return fail_errno(errno, "read the configuration map");
  }
  return static_cast<uint32_t>(read_number(form->second.value, row.data(), "hash_seed"));
}

Result<> Succession::prepare(const ProgramSizes& sizes, bool grows, uint32_t hash_seed) {
  KEELSON_TRY(object_, ServicesObject::open());
  const Source* before = sources_.empty() ? nullptr : &sources_.front();
  if (sources_.size() > 1) {
    object_->move_connections();
  }
  if (before) {
    KEELSON_DO(object_->reuse(*before, grows ? &sizes : nullptr));
  }
  KEELSON_DO(object_->set_sizes(sizes, before));
  if (before) {
    KEELSON_TRY(hash_seed, pinned_seed());
  }
  return object_->load(hash_seed);
}

std::string Succession::program_of_link(const std::string& name) const {
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
  bpf_map_lookup_elem(object_->map("links"), &key, &kind);
  return kind == KL_LINK_POD ? "pod_ingress" : "uplink_ingress";
}

Result<> Succession::pin_programs(const char* suffix) {
  for (const char* hook : kPacketHooks) {
    KEELSON_DO(generation_.pin_program(object_->program(std::string(hook) + suffix), hook));
  }
  return {};
}

Result<> Succession::replace_programs(const PinnedLinks& links, const char* suffix) {
  return links.replace([&](const std::string& name) {
    auto program = program_of_link(name);
    bool of_packets = PinnedLinks::ifindex_of(name) != 0;
    return object_->program(of_packets ? program + suffix : program);
  });
}

Result<> Succession::copy_tables() {
  const auto& from = sources_.front();
  for (const auto& map : object_->maps()) {
    Fd theirs = from.generation.map(map.name);
    auto form = from.layout.maps.find(map.name);
    if (object_->reuses(map.name) || std::ranges::find(kNotCopied, map.name) != std::end(kNotCopied) || !theirs ||
        form == from.layout.maps.end()) {
      continue;
    }
    if (map.name == "counters") {
      KEELSON_DO(copy_counters(theirs.get(), map.fd));
    }
    if (!map.has_rows) {
      continue;
    }
    KEELSON_DO(copy_rows(theirs.get(), form->second, map.fd, object_->layout().maps.at(map.name))
                   .context("carry over the map {}", map.name));
  }
  return {};
}

Result<> Succession::set_predecessors() {
  const auto& before = sources_.front().generation;
  for (uint32_t row = 0; row < KL_AFTER_COUNT; row++) {
    Fd program = before.program(kTcHooks[row]);
    int fd = program.get();
    if (!program || bpf_map_update_elem(object_->map("predecessors_tc"), &row, &fd, BPF_ANY) != 0) {
      return fail_errno(errno, "the program before {}", kTcHooks[row]);
    }
  }
  Fd program = before.program("uplink_xdp");
  int fd = program.get();
  uint32_t row = 0;
  if (!program || bpf_map_update_elem(object_->map("predecessors_xdp"), &row, &fd, BPF_ANY) != 0) {
    return fail_errno(errno, "the program before uplink_xdp");
  }
  return {};
}

// The steps are those of bpf/transition.h and LAYOUT.md. Killed between any two, the next load starts over with what
// begin() finds.
Result<> Succession::move_connections(const PinnedLinks& links) {
  const auto& forms = object_->layout().maps;
  KEELSON_TRY(auto mover, ConnectionMover::open(object_->map("transition"), object_->map("moved"),
                                                forms.at("moved").value, object_->program("store_moved")));
  auto move_all = [&]() -> Result<> {
    for (const char* table : kConnections) {
      // That of the newest may be ours, too.
      auto others = std::span(sources_).subspan(object_->reuses(table) ? 1 : 0);
      KEELSON_TRY([[maybe_unused]] auto stored, mover.move(others, table));
    }
    return {};
  };
  int config = object_->map("config");
  const auto& config_form = forms.at("config").value;
  KEELSON_TRY(auto ports, nat_ports(config, config_form));
  ports_ = ports;
  KEELSON_DO(set_nat_ports(config, config_form, ports.upper()));
  KEELSON_DO(set_ports_before(ports.lower()));
  KEELSON_DO(move_all());
  KEELSON_DO(replace_programs(links, "_after"));
  KEELSON_DO(mover.set_phase(KL_PHASE_LEAD));
  leads_ = true;
  KEELSON_DO(move_all());
  KEELSON_DO(copy_tables());
  KEELSON_DO(mover.set_phase(KL_PHASE_ALONE));
  return set_nat_ports(config, config_form, ports);
}

Result<> Succession::set_ports_before(NatPorts ports) const {
  for (const auto& source : sources_) {
    Fd theirs = source.generation.map("config");
    KEELSON_DO(set_nat_ports(theirs.get(), source.layout.maps.at("config").value, ports));
  }
  return {};
}

Result<> Succession::pin_all() {
  KEELSON_DO(generation_.make());
  for (const auto& map : object_->maps()) {
    KEELSON_DO(generation_.pin_map(map.fd, map.name));
  }
  bool moves = object_->moves_connections();
  KEELSON_DO(pin_programs(moves ? "_after" : ""));
  if (!sources_.empty()) {
    KEELSON_DO(copy_tables());
  }
  if (moves) {
    KEELSON_DO(set_predecessors());
  }
  return generation_.pin_layout(object_->encoded_layout());
}

Result<> Succession::complete(const PinnedLinks& links) {
  auto done = pin_all();
  if (done && object_->moves_connections()) {
    done = move_connections(links);
  }
  if (!done && !leads_) {
    undo();
  }
  KEELSON_DO(done);
  leads_ = true;
  KEELSON_DO(replace_programs(links, ""));
  KEELSON_DO(clean_up());
  sources_.clear();
  object_->forget_code();
  return {};
}

// Programs that are on links by now go on calling those before.
void Succession::undo() {
  if (ports_) {
    (void)set_ports_before(*ports_);
  }
  (void)generation_.remove();
}

// Nothing of what was before is used any more.
Result<> Succession::clean_up() {
  for (const auto& old : Generation::list(pins_)) {
    if (old.number() != generation_.number()) {
      KEELSON_DO(old.remove());
    }
  }
  if (!object_->moves_connections()) {
    return {};
  }
  KEELSON_DO(pin_programs(""));
  // They would keep the programs before, and these their maps.
  for (uint32_t row = 0; row < KL_AFTER_COUNT; row++) {
    bpf_map_delete_elem(object_->map("predecessors_tc"), &row);
    bpf_map_delete_elem(object_->map("predecessors_xdp"), &row);
  }
  for (const char* map : {"predecessors_tc", "predecessors_xdp", "moved", "storing", "transition"}) {
    KEELSON_DO(generation_.unpin_map(map));
  }
  return {};
}

}  // namespace keelson::ebpf
