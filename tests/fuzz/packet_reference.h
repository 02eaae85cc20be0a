// SPDX-License-Identifier: Apache-2.0
// What may become of a packet, told from the model and from what became of the packets before: plain maps, nothing of
// the programs' own code. It predicts no free choice (which backend of a pool, which free port) but holds the programs
// to what they have chosen.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/fuzz/frame.h"
#include "tests/fuzz/packet_world.h"

namespace keelson::fuzz {

/// What is done with all packets of a flow.
struct Mapping {
  Address to_src, to_dst;
  uint16_t to_sport = 0, to_dport = 0;
  bool tunnel = false;  ///< Wrapped for `node`, to the endpoint to_dst:to_dport.
  Address node;
  bool closing = false;
  bool reply = false;
  bool foreign = false;  ///< Another node chose the endpoint; this node knows it by no name.
  bool operator==(const Mapping& other) const {
    return to_src == other.to_src && to_dst == other.to_dst && to_sport == other.to_sport &&
           to_dport == other.to_dport && tunnel == other.tunnel && (!tunnel || node == other.node);
  }
};

/// What packets came to, for a run to show that it has seen everything.
enum class Seen {
  untouched,
  dropped,
  known_flow,
  reply,
  new_flow,
  masqueraded,
  affinity_kept,
  answered,
  too_big,
  icmp_translated,
  later_fragment,
  wrapped,
  unwrapped,
  left_to_tc,
  ambiguous,
  kCount
};
const char* to_string(Seen seen);

class Reference {
 public:
  explicit Reference(const dataplane::Model& model);

  /// Empty, or what is wrong. Remembers what the packet has begun.
  std::string check(Hook hook, const Frame& before, const Outcome& outcome);
  /// Every flow that the programs hold must be one that packets have begun.
  std::string check_flows(const std::vector<Flow>& held) const;

  const std::map<Flow, Mapping>& known() const { return known_; }
  const std::vector<Flow>& known_list() const { return known_list_; }
  const std::vector<std::pair<Address, std::pair<uint16_t, uint8_t>>>& places() const { return places_; }
  uint64_t seen(Seen what) const { return seen_[static_cast<size_t>(what)]; }

 private:
  struct Rule {
    const dataplane::Service* service = nullptr;
    const dataplane::Frontend* frontend = nullptr;
    size_t number = 0;
  };
  using FragmentKey = std::tuple<Address, Address, uint32_t, uint8_t>;

  std::string check_begun(Hook hook, const Frame& before, const Parsed& parsed, const Outcome& outcome);
  std::string check_parsed(Hook hook, const Frame& before, Parsed parsed, const Outcome& outcome);
  std::string check_icmp(Hook hook, const Frame& before, const Parsed& parsed, const Outcome& outcome);
  std::string check_ambiguous_icmp(const Frame& before, const Parsed& parsed, const Outcome& outcome);
  std::string check_unwrapped(const Frame& before, const Parsed& parsed, const Outcome& outcome);
  std::string check_new(Hook hook, const Frame& before, const Parsed& parsed, const Outcome& outcome,
                        dataplane::From from, const Rule& rule);
  std::string check_forwarded(Hook hook, const Frame& before, const Parsed& parsed, const Outcome& outcome,
                              dataplane::From from, const Rule& rule);
  std::string check_choice(const Flow& flow, const Mapping& mapping, const dataplane::Use& use, const Rule& rule,
                           bool may_wrap);
  std::string check_mapped(Hook hook, const Frame& before, const Parsed& parsed, const Outcome& outcome,
                           const Mapping& mapping);
  std::string check_reply(Hook hook, const Frame& before, const Parsed& parsed, const Outcome& outcome,
                          const Mapping& mapping);
  bool is_ambiguous(const Flow& flow) const;
  std::string check_ambiguous(Hook hook, const Frame& before, const Parsed& parsed, const Outcome& outcome);
  bool may_have_ended(const Flow& flow, const Mapping& mapping) const;
  std::string check_port(const Flow& flow, const Mapping& mapping) const;
  std::string check_source(const Flow& flow, const Mapping& mapping, bool masquerade) const;
  bool ports_of_fragment(Parsed& parsed);
  void record(const Flow& flow, Mapping mapping);
  void put(const Flow& flow, const Mapping& mapping);
  void mark_closing(const Flow& flow);
  void note_perhaps(const Flow& flow, dataplane::From from);
  void count(Seen what) { seen_[static_cast<size_t>(what)]++; }

  std::map<std::tuple<Address, uint16_t, uint8_t>, Rule> rules_;
  std::vector<std::pair<Address, std::pair<uint16_t, uint8_t>>> places_;
  std::map<Flow, Mapping> known_;
  std::vector<Flow> known_list_;
  // Flows that a packet may have begun which was then not sent on with what was chosen to be seen: by whom it came.
  std::map<Flow, std::set<dataplane::From>> perhaps_;
  std::set<std::tuple<Address, uint16_t, uint8_t>> perhaps_taken_;          // by such a flow: the client's own port
  std::map<std::pair<Flow, bool>, std::pair<Address, uint16_t>> backends_;  // without affinity, by pool: local or not
  std::map<std::pair<Address, size_t>, std::pair<Address, uint16_t>> clients_;  // backends, by affinity
  std::set<std::tuple<Flow, Address, uint16_t>> named_;                         // endpoints that another node named
  std::set<Flow> hidden_;                                                       // all that ever were in perhaps_
  // Ends whose TCP connections were seen to end: rows of such may have been taken by others, unseen.
  std::set<std::pair<Address, uint16_t>> ended_;
  std::map<FragmentKey, std::pair<uint16_t, uint16_t>> fragments_;
  uint64_t seen_[static_cast<size_t>(Seen::kCount)] = {};
  dataplane::Model model_;
};

}  // namespace keelson::fuzz
