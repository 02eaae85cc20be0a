// SPDX-License-Identifier: Apache-2.0
// DIFFERENCES.md: the scenarios as a table that people read.
#pragma once

#include <string>

#include "tests/services/scenario.h"

namespace keelson::services {

/// The whole document: what differs and why, what ours does not do yet, and then every step with all answers.
std::string document(const Suite& suite);

}  // namespace keelson::services
