// SPDX-License-Identifier: Apache-2.0
#include "dataplane/claims.h"

#include <string_view>

namespace keelson::dataplane {

size_t FrontendKeyHash::operator()(const FrontendKey& key) const {
  std::string_view bytes(reinterpret_cast<const char*>(key.address.bytes.data()), key.address.bytes.size());
  auto tail = static_cast<size_t>(key.port) << 8 | static_cast<size_t>(key.protocol);
  return std::hash<std::string_view>{}(bytes) ^ (tail * 0x9e3779b97f4a7c15ull);
}

bool Claims::add(const FrontendKey& key, const ServiceKey& service) {
  if (auto contested = contested_.find(key); contested != contested_.end()) {
    return contested->second.insert(service).second;
  }
  auto [claim, fresh] = claims_.try_emplace(key, service);
  if (fresh) {
    return true;
  }
  if (claim->second == service) {
    return false;
  }
  contested_[key] = {std::move(claim->second), service};
  claims_.erase(claim);
  return true;
}

bool Claims::remove(const FrontendKey& key, const ServiceKey& service) {
  if (auto contested = contested_.find(key); contested != contested_.end()) {
    auto& all = contested->second;
    if (all.erase(service) == 0) {
      return false;
    }
    if (all.size() == 1) {
      claims_.emplace(key, *all.begin());
      contested_.erase(contested);
    }
    return true;
  }
  auto claim = claims_.find(key);
  if (claim == claims_.end() || claim->second != service) {
    return false;
  }
  claims_.erase(claim);
  return true;
}

const ServiceKey* Claims::owner(const FrontendKey& key) const {
  if (auto claim = claims_.find(key); claim != claims_.end()) {
    return &claim->second;
  }
  auto contested = contested_.find(key);
  return contested == contested_.end() ? nullptr : &*contested->second.begin();
}

}  // namespace keelson::dataplane
