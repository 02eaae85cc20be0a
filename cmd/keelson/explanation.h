// SPDX-License-Identifier: Apache-2.0
// What would happen to a flow, as lines.
#pragma once

#include <string>

#include <boost/json/value.hpp>

namespace keelson::cli {

/// Of an answer of network/why_api.h.
std::string format_explanation(const boost::json::value& why);

}  // namespace keelson::cli
