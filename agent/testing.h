// SPDX-License-Identifier: Apache-2.0
// What the agent's tests share.
#pragma once

#include <string>

#include "agent/plan.h"

namespace keelson::agent {

/// "start_container a 1, kill_container b-0 30 s | wake +9 s": the steps, and the wake time from 1 700 000 000 s.
std::string print(const Plan& plan);

}  // namespace keelson::agent
