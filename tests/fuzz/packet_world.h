// SPDX-License-Identifier: Apache-2.0
// The node whose programs packet_fuzz sends packets through: SmallNet's, with the programs loaded and not attached to
// anything but its uplink, and services of all shapes.
#pragma once

#include <memory>
#include <random>
#include <string>

#include "dataplane/model.h"
#include "ebpf/programs.h"
#include "ebpf/testing.h"
#include "tests/fuzz/frame.h"

namespace keelson::fuzz {

using Random = std::mt19937_64;

enum class Hook { pod, uplink, egress, xdp };
inline constexpr size_t kHooks = 4;
std::string to_string(Hook hook);
dataplane::From sender(Hook hook);

enum class Verdict { refused /* by the kernel: no such frame comes */, pass, drop, forward, fault };
struct Outcome {
  Verdict verdict = Verdict::fault;
  int code = 0;
  Frame frame;
};

/// Addresses of the node and its surroundings, by family: [0] is IPv4.
struct Surroundings {
  Address node[2], other_node[2];
  std::vector<Address> clients[2];
  uint16_t mtu = 1500;
  uint16_t nat_first = 1024, nat_count = 28976;
  uint16_t tunnel_port = 6081;
};
const Surroundings& surroundings();

/// Services with random verdicts, backends, affinity, source ranges, Maglev and DSR; fewer than fit.
dataplane::Model random_model(Random& random);

/// What goes wrong is a std::runtime_error: so that namespaces and pins go.
class World {
 public:
  explicit World(const std::string& pins);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  void set_model(const dataplane::Model& model);
  Outcome run(Hook hook, const Frame& frame);
  /// Every table that packets write is empty again.
  void forget();
  /// As if all that is known had last been looked at some seconds ago.
  void age();
  /// All flows in the connection tables.
  std::vector<Flow> flows() const;
  /// Of all CPUs, by kl_counter.
  std::vector<uint64_t> counters() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace keelson::fuzz
