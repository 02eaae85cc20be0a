// SPDX-License-Identifier: Apache-2.0
// Scenarios carried out under a proxy.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/services/proxy.h"
#include "tests/services/scenario.h"
#include "tests/services/world.h"

namespace keelson::services {

/// A text a step, as Step::wanted; empty where there is nothing to see.
using Answers = std::vector<std::string>;

/// All objects are there before the proxy starts. Scenarios run beside each other, then those that stop the proxy one
/// by one. Nothing of them is left at the end, nor of the proxy. By Scenario::id().
std::map<std::string, Answers> run(World& world, Proxy& proxy, const std::vector<const Scenario*>& scenarios);

/// Whether the answers are those that the scenario wants of that side; fails the test step by step if not.
void check(const Scenario& scenario, Side side, const Answers& answers);

}  // namespace keelson::services
