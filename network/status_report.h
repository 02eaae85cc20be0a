// SPDX-License-Identifier: Apache-2.0
// The role at a glance, as JSON.
#pragma once

#include <string>

#include <boost/json/value.hpp>

#include "network/router.h"

namespace keelson::network {

struct SourceState {
  std::string from;     ///< For people: "manifests in /etc/keelson/manifests".
  std::string trouble;  ///< ObjectSource::trouble().
};

/// node, zone, mode; synced, source, lastSync; programs with their hooks, by the kernel's word; maps: what they take,
/// of what budget, and rows that it refused; tables, those of connections told from a sample; counters of packets.
boost::json::value status_json(const Router& router, const SourceState& source, const std::string& socket_cgroup);

}  // namespace keelson::network
