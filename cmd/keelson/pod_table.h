// SPDX-License-Identifier: Apache-2.0
// A pod as a row of `get pods`: the words and rules of kubectl's own printer (pkg/printers/internalversion printPod).
#pragma once

#include <string>
#include <vector>

#include <boost/json/value.hpp>

namespace keelson::cli {

/// What kubectl shows of one pod object (v1 Pod as JSON).
struct PodRow {
  std::string ready;     ///< "1/2"
  std::string status;    ///< "Running", "Init:0/1", "CrashLoopBackOff", "Completed", "Terminating", ...
  std::string restarts;  ///< "0", or "3 (5s ago)"
  std::string age;
  std::string ip;    ///< "<none>" until it has one
  std::string node;  ///< "<none>" if unknown
};

PodRow pod_row(const boost::json::value& pod);

struct PodTableOptions {
  bool wide = false;
  bool namespaces = false;  ///< a NAMESPACE column first
  bool headers = true;
};

/// The rows of `get pods` for the items of a PodList, header first.
std::vector<std::vector<std::string>> pod_table(const boost::json::value& list, PodTableOptions options);

}  // namespace keelson::cli
