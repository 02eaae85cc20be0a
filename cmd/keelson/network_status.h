// SPDX-License-Identifier: Apache-2.0
// The role network at a glance, as text.
#pragma once

#include <string>

#include <boost/json/value.hpp>

namespace keelson::cli {

/// Of network/status_report.h. Times are shown as ages.
std::string format_network_status(const boost::json::value& status);

}  // namespace keelson::cli
