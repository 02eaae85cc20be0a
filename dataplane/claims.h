// SPDX-License-Identifier: Apache-2.0
// Who owns a frontend that two services claim: both may name the same external address and port. An engine's table has
// one row for it, and which must not depend on the order of events.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <set>
#include <unordered_map>

#include "dataplane/model.h"

namespace keelson::dataplane {

/// What makes packets hit one frontend and no other.
struct FrontendKey {
  Address address;
  uint16_t port = 0;
  Protocol protocol = Protocol::tcp;
  auto operator<=>(const FrontendKey&) const = default;
};

struct FrontendKeyHash {
  size_t operator()(const FrontendKey& key) const;
};

/// The claims of all services on all frontends. One thread at a time.
class Claims {
 public:
  /// One more claims it. False if it has claimed it already.
  bool add(const FrontendKey& key, const ServiceKey& service);
  /// False if it had not claimed it.
  bool remove(const FrontendKey& key, const ServiceKey& service);
  /// The first by name of those who claim it, nullptr if nobody does. Valid until the next change.
  const ServiceKey* owner(const FrontendKey& key) const;
  size_t size() const { return claims_.size() + contested_.size(); }

 private:
  // Nearly every frontend has one claim: it costs no set.
  std::unordered_map<FrontendKey, ServiceKey, FrontendKeyHash> claims_;
  std::unordered_map<FrontendKey, std::set<ServiceKey>, FrontendKeyHash> contested_;
};

}  // namespace keelson::dataplane
