// SPDX-License-Identifier: Apache-2.0
// Services and Endpoints as rows: the words and rules of kubectl's own printer (pkg/printers/internalversion
// printService, printEndpoints), and with `wide` what this node makes of them.
#pragma once

#include <string>
#include <vector>

#include <boost/json/value.hpp>

namespace keelson::cli {

struct ServiceTableOptions {
  bool wide = false;
  bool namespaces = false;  ///< a NAMESPACE column first
  bool headers = true;
};

/// Of a List of v1 Services, header first. Wide adds PROGRAMMED ("2/2": ports and families that the kernel has, of all;
/// those that it has not are named), ENDPOINTS (ready/serving/terminating), NEW-FLOWS, POLICY (internal/external) and
/// AFFINITY.
std::vector<std::vector<std::string>> service_table(const boost::json::value& list, ServiceTableOptions options);

/// Of a List of v1 Endpoints, header first. Wide is a row for each endpoint and port, with STATE (Ready, NotReady,
/// Terminating while it still serves, Stopped), NODE, ZONE, LOCAL and POD.
std::vector<std::vector<std::string>> endpoint_table(const boost::json::value& list, ServiceTableOptions options);

}  // namespace keelson::cli
