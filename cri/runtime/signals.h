// SPDX-License-Identifier: Apache-2.0
// Signals by their three spellings: number, name in an image ("SIGTERM", "TERM", "15", "RTMIN+3"), CRI enum.
#pragma once

#include <string_view>

#include "common/result.h"
#include "cri/proto/common.pb.h"

namespace keelson::cri {

/// The number of a name as image configs write it. Kind::invalid if it is none.
Result<int> signal_of_name(std::string_view name);
/// CRI's value for a number; RUNTIME_DEFAULT for 0 and for what CRI does not list.
::runtime::v1::Signal cri_signal(int number);
/// The number of CRI's value; 0 for RUNTIME_DEFAULT.
int signal_number(::runtime::v1::Signal signal);

}  // namespace keelson::cri
