// SPDX-License-Identifier: Apache-2.0
// A flow event as a line, like hubble observe prints it.
#pragma once

#include <string>

#include <boost/json/value.hpp>

namespace keelson::cli {

/// Of one event (network/flow_log.h): "15:04:05.123 DROPPED   TCP 10.2.0.1:4711 -> 10.96.0.1:80 default/web:http
/// (text)". The time is UTC. A line of lost events says how many.
std::string flow_line(const boost::json::value& event);

}  // namespace keelson::cli
