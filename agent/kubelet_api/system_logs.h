// SPDX-License-Identifier: Apache-2.0
// The node's own logs by HTTP, as the kubelet's /logs/ (Go's http.FileServer on /var/log): folders as lists of links,
// files as they are.
#pragma once

#include <string>
#include <vector>

#include "http/server.h"

namespace keelson::agent {

struct SystemLogOptions {
  bool enabled = true;              ///< enableSystemLogHandler
  std::string folder = "/var/log";  ///< What /logs/ shows.
  /// Folders that links in it may lead to, beside itself: where pods' logs are. Links to anywhere else are 403: a pod
  /// that may write to /var/log must not have the node read its files to others.
  std::vector<std::string> linked = {"/var/log/pods"};
};

/// "/logs/..." of `request`: 301 where a folder's slash is missing, or a file has one; 403, 404, 405. A query
/// (KEP-2258) is refused in words, 400. Files are read when they are sent, up to their size now.
http::Response system_log(const SystemLogOptions& options, const http::Request& request);

}  // namespace keelson::agent
