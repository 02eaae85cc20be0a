// SPDX-License-Identifier: Apache-2.0
// A pod and its events as `kubectl describe pod` lays them out.
#pragma once

#include <string>

#include <boost/json/value.hpp>

namespace keelson::cli {

/// `pod` is a v1 Pod, `events` an EventList, both as JSON. Secret values never appear: only references are printed.
std::string describe_pod(const boost::json::value& pod, const boost::json::value& events);

/// The rows of an EventList as `kubectl events` prints them: LAST SEEN, TYPE, REASON, OBJECT, MESSAGE.
std::string format_events(const boost::json::value& events, bool namespaces);

}  // namespace keelson::cli
