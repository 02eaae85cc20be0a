// SPDX-License-Identifier: Apache-2.0
// Packets by a grammar: right ones of all kinds first, of which many are then broken in one way or several.
#pragma once

#include "tests/fuzz/frame.h"
#include "tests/fuzz/packet_reference.h"
#include "tests/fuzz/packet_world.h"

namespace keelson::fuzz {

class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {}
  /// The next packet for a hook. `reference` tells which services and flows there are.
  Frame next(Hook hook, const Reference& reference);
  Random& random() { return random_; }

 private:
  bool one_in(uint32_t many) { return random_() % many == 0; }
  uint32_t below(uint32_t end) { return static_cast<uint32_t>(random_() % end); }
  Frame bytes(size_t size);
  Plan to_service(const Reference& reference);
  Plan of_known(const Reference& reference);
  Plan of_nobody();
  Plan icmp_error(const Reference& reference);
  Plan geneve(const Reference& reference);
  void decorate(Plan& plan);
  void mutate(Frame& frame);

  Random random_;
};

}  // namespace keelson::fuzz
