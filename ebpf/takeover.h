// SPDX-License-Identifier: Apache-2.0
// What maps of one generation hold, carried over into those of the next while packets go on (bpf/transition.h).
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "common/result.h"
#include "ebpf/bpf/abi.h"
#include "ebpf/generation.h"
#include "ebpf/layout.h"
#include "ebpf/mapped_array.h"

namespace keelson::ebpf {

/// The rows of one map, in their new form; what is there under the same key is replaced. Not of maps that only programs
/// write (per CPU, of sockets).
Result<> copy_rows(int from, const MapForm& from_form, int to, const MapForm& to_form);
/// The same for counters: a value for each CPU.
Result<> copy_counters(int from, int to);

/// The rows of connection tables. A row is stored by the programs' own code, so it does not matter how the two tables
/// place theirs.
class ConnectionMover {
 public:
  /// `moved_form`: of kl_moved. `store`: the program store_moved. Descriptors outlive the mover.
  static Result<ConnectionMover> open(int transition, int moved, const Form& moved_form, int store);

  /// Stores what has changed in these sources, the newest first, since the last time, or all. A row that packets have
  /// made meanwhile stays as it is; a copy gives way to what its flow has become. How many were stored.
  Result<uint64_t> move(std::span<const Source> sources, const std::string& table);
  Result<> set_phase(kl_phase phase);

 private:
  ConnectionMover(MappedArray<kl_transition> transition, MappedArray<kl_moved> moved, const Form& moved_form, int store)
      : transition_(std::move(transition)), moved_(std::move(moved)), moved_form_(moved_form), store_(store) {}
  Result<> move_from(const Source& source, const std::string& table);
  void take(const MapForm& form, const std::byte* bucket);
  uint16_t sureness(uint16_t flags) const;
  Result<> flush();

  MappedArray<kl_transition> transition_;
  MappedArray<kl_moved> moved_;
  Form moved_form_;
  int store_;
  uint32_t waiting_ = 0;
  uint64_t stored_ = 0;
  bool other_clock_ = false;  // the source tells time in another unit: its rows count as seen now
  size_t nth_ = 0;            // source, counted from the newest
  bool oldest_ = true;
  std::map<std::pair<uint32_t, std::string>, std::vector<uint64_t>> known_;  // of each bucket what it was, as a hash
};

/// Ports of masqueraded flows are split while two programs give them out, so that they never give out the same: those
/// before take the lower half, those after the upper one. Then these get all.
struct NatPorts {
  uint16_t first = 0, count = 0;
  NatPorts lower() const { return {first, static_cast<uint16_t>(count / 2)}; }
  NatPorts upper() const {
    return {static_cast<uint16_t>(first + count / 2), static_cast<uint16_t>(count - count / 2)};
  }
};
Result<NatPorts> nat_ports(int config, const Form& form);
Result<> set_nat_ports(int config, const Form& form, NatPorts ports);

}  // namespace keelson::ebpf
