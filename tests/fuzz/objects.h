// SPDX-License-Identifier: Apache-2.0
// Random Services and EndpointSlices of a small world, so that they meet: few names, addresses and ports.
#pragma once

#include <random>

#include "dataplane/translate/translator.h"

namespace keelson::fuzz {

class RandomObjects {
 public:
  explicit RandomObjects(uint64_t seed) : random_(seed) {}

  /// One to four objects that are new, change or go; or, rarely, all that there are.
  dataplane::ObjectChange change(const dataplane::ServiceObjects& objects);
  dataplane::TranslateOptions options();
  bool one_in(uint32_t many) { return random_() % many == 0; }

 private:
  uint32_t below(uint32_t end) { return static_cast<uint32_t>(random_() % end); }
  kube::Service service();
  void add_ports(kube::Service& service);
  kube::EndpointSlice slice();

  std::mt19937_64 random_;
};

/// How many objects it names.
size_t size_of(const dataplane::ObjectChange& change);

}  // namespace keelson::fuzz
