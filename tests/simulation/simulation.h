// SPDX-License-Identifier: Apache-2.0
// A node's client code against a control plane that fails, in virtual time.
//
//   User --changes--> ObjectStore --> two API servers' caches --faults--> Wire --> kube::Client, Watch, Cluster, Agent
//     |                  ^                                                            |            |
//     +-- ends of --> Runtime <-------------------------------------------------------+------------+
//                        Checks: at every moment, and when all is calm
//
// Nothing waits for real time and nothing but the seed decides: a failure happens again with the same seed.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace keelson::simulation {

struct Plan {
  uint64_t seed = 1;
  uint64_t steps = 1000;
  uint64_t steps_a_round = 250;  ///< Then a calm, after which all must be right.
  bool verbose = false;          ///< Prints each round.
};

struct Report {
  /// Empty: nothing has gone wrong. Else what, and when: "seed 3, step 4512: ...".
  std::vector<std::string> failures;
  uint64_t steps = 0;
  uint64_t rounds = 0;
  uint64_t restarts = 0;  ///< Of the node.
  double virtual_seconds = 0;
  uint64_t requests = 0;
  uint64_t worst_second = 0;     ///< Requests in one second of it, while things change and fail.
  uint64_t worst_ten = 0;        ///< In ten.
  uint64_t worst_reconnect = 0;  ///< In the second after the API came back, or all connections had broken.
  double calm_a_minute = 0;      ///< While nothing changes: the most that a minute had.
  double slowest_calm = 0;       ///< Seconds from the last fault until all was right.
  std::map<std::string, uint64_t> requests_by_kind;
};

Report run(const Plan& plan);

}  // namespace keelson::simulation
