// SPDX-License-Identifier: Apache-2.0
// A generation of maps and programs that comes in the place of those before, while packets go on (LAYOUT.md).
//
// It is the same whether a daemon starts beside what another has left, of whatever version, or makes its own maps
// larger. What takes long is prepare(), of which packets notice nothing; complete() carries the rows over and gives
// every link its new program.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "ebpf/generation.h"
#include "ebpf/object.h"
#include "ebpf/pinned_links.h"
#include "ebpf/programs.h"
#include "ebpf/takeover.h"

namespace keelson::ebpf {

/// One thread at a time. Not completed, it leaves what was there before.
class Succession {
 public:
  /// Of what is pinned here. Changes nothing.
  static Result<Succession> begin(std::string pins);

  /// Opens and loads the object. Maps of the newest generation are used as they are where rows have the same form;
  /// `grows`: and only if they have these sizes. None becomes smaller. Errors as ServicesObject::load().
  Result<> prepare(const ProgramSizes& sizes, bool grows, uint32_t hash_seed = 0);
  /// Pins, carries over, replaces the programs behind all links, takes away what was before. An error before leads()
  /// has left what was there; after it this generation is the one that counts, and the rest is made up for by the next.
  Result<> complete(const PinnedLinks& links);

  /// Packets are decided by what is here.
  bool leads() const { return leads_; }
  uint32_t number() const { return generation_.number(); }
  /// Of the generation it follows; 0: there was none.
  uint32_t predecessor() const { return predecessor_; }
  /// After prepare().
  ServicesObject& object() { return *object_; }

 private:
  Succession(std::string pins, std::vector<Source> sources, uint32_t number)
      : pins_(std::move(pins)),
        sources_(std::move(sources)),
        predecessor_(sources_.empty() ? 0 : sources_.front().generation.number()),
        generation_(pins_, number) {}

  Result<uint32_t> pinned_seed() const;
  Result<> copy_tables();
  Result<> move_connections(const PinnedLinks& links);
  Result<> set_predecessors();
  Result<> pin_programs(const char* suffix);
  Result<> pin_all();
  Result<> replace_programs(const PinnedLinks& links, const char* suffix);
  std::string program_of_link(const std::string& name) const;
  Result<> set_ports_before(NatPorts ports) const;
  void undo();
  Result<> clean_up();

  std::string pins_;
  std::vector<Source> sources_;  // whose rows count, the newest first; none once it is complete
  uint32_t predecessor_;
  Generation generation_;
  std::optional<ServicesObject> object_;
  std::optional<NatPorts> ports_;  // of the node; split among programs while connections move
  bool leads_ = false;
};

}  // namespace keelson::ebpf
