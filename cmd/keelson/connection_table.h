// SPDX-License-Identifier: Apache-2.0
// Connections, and who holds most of them, as rows.
#pragma once

#include <string>
#include <vector>

#include <boost/json/value.hpp>

namespace keelson::cli {

/// Of {"items": [...]} (network/connection_report.h), header first, by client. Wide adds SOURCE (the client as the
/// backend sees it), MASQUERADED and LEFT, the time until it is forgotten if it stays silent.
std::vector<std::vector<std::string>> connection_table(const boost::json::value& list, bool wide, bool headers);

/// "clients" or "services" of a top.
std::vector<std::vector<std::string>> holder_table(const boost::json::value& top, const std::string& which,
                                                   bool headers);

}  // namespace keelson::cli
