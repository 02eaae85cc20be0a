// SPDX-License-Identifier: Apache-2.0
#include "dataplane/model.h"

namespace keelson::dataplane {

std::string_view to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::tcp:
      return "TCP";
    case Protocol::udp:
      return "UDP";
    case Protocol::sctp:
      return "SCTP";
  }
  return "?";
}

std::string_view to_string(FrontendKind kind) {
  switch (kind) {
    case FrontendKind::cluster_ip:
      return "ClusterIP";
    case FrontendKind::node_port:
      return "NodePort";
    case FrontendKind::external_ip:
      return "ExternalIP";
    case FrontendKind::load_balancer:
      return "LoadBalancer";
  }
  return "?";
}

Delta delta(const Model& before, const Model& after) {
  Delta change;
  auto old = before.services.begin();
  for (const auto& [key, service] : after.services) {
    while (old != before.services.end() && old->first < key) {
      change.removed.push_back((old++)->first);
    }
    bool known = old != before.services.end() && old->first == key;
    if (!known || old->second != service) {
      change.changed.emplace_hint(change.changed.end(), key, service);
    }
    if (known) {
      ++old;
    }
  }
  for (; old != before.services.end(); ++old) {
    change.removed.push_back(old->first);
  }
  return change;
}

void apply(Model& model, const Delta& change) {
  for (const auto& key : change.removed) {
    model.services.erase(key);
  }
  for (const auto& [key, service] : change.changed) {
    model.services.insert_or_assign(key, service);
  }
}

}  // namespace keelson::dataplane
