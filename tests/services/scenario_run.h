// SPDX-License-Identifier: Apache-2.0
// Scenarios as tests: a test each, but one world, and the proxy started once for all that are configured alike.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/services/runner.h"

namespace keelson::services {

/// All scenarios of the source tree.
const Suite& suite();
std::vector<const Scenario*> all_scenarios();
/// "basics_cluster_ip_tcp_v4".
std::string test_name(const Scenario& scenario);

/// The scenarios of a group that the filter has left in a test suite: "Sockets/OursTest".
std::vector<const Scenario*> chosen(const std::string& test_suite, const std::string& group);

/// Runs that were made, by test suite and group.
using Runs = std::map<std::pair<std::string, std::string>, std::map<std::string, Answers>>;

}  // namespace keelson::services
