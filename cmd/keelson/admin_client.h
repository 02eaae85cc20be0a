// SPDX-License-Identifier: Apache-2.0
// The CLI's side of the admin socket: the kubelet's own HTTP paths over a unix socket that only root may open.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <boost/json/value.hpp>

#include "common/result.h"

namespace keelson::cli {

/// Blocking requests to the node's admin socket. Each call makes its own connection. Thread-compatible.
/// Errors: unavailable (no node listens there; the text says how to start one), and what the node answered: not_found
/// for 404, invalid for 400, conflict for 409, internal otherwise; the text is the node's own.
class AdminClient {
 public:
  /// `remedy`: what to do when nobody answers, for the error.
  explicit AdminClient(std::string socket,
                       std::string remedy = "'keelson node', or name its socket with --admin-socket")
      : socket_(std::move(socket)), remedy_(std::move(remedy)) {}

  /// GET, the body parsed as JSON.
  Result<boost::json::value> get(const std::string& target) const;
  /// POST without a body, the answer parsed as JSON.
  Result<boost::json::value> post(const std::string& target) const;
  /// GET, the body handed to `sink` piece by piece as it comes (for logs -f), until the node ends it.
  Result<> stream(const std::string& target, const std::function<void(std::string_view)>& sink) const;

 private:
  std::string socket_;
  std::string remedy_;
};

/// `text` with all but unreserved characters as %XX (RFC 3986), for path segments and query values.
std::string percent_encode(std::string_view text);

}  // namespace keelson::cli
