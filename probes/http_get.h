// SPDX-License-Identifier: Apache-2.0
// HTTP GET as probes and lifecycle hooks make it: one connection a request, TLS not verified, redirects on the same
// host.
#pragma once

#include <string>

#include <boost/asio/ip/tcp.hpp>

#include "common/loop.h"
#include "probes/probe.h"

namespace keelson::probes {

struct HttpAnswer {
  int status = 0;
  std::string location;  ///< of a redirect that was not followed: it leads to another host
  std::string body;      ///< of such a redirect, 10 KiB at most
};

/// Asks for `target` (handler http or https). Redirects on the same host are followed, 10 at most. No deadline of its
/// own. Errors have Go's text, which people know: Kind::unavailable, or Kind::unsupported when an HTTPS request was
/// answered by HTTP.
Task<HttpAnswer> http_get(Loop& loop, Target target, std::string user_agent);

/// "http://10.0.0.1:8080/healthz".
std::string url_of(const Target& target);
/// Connects; `host` is an address, or a name that the node resolves.
asio::awaitable<boost::system::error_code> connect(asio::ip::tcp::socket* socket, std::string host, uint16_t port);
/// "dial tcp 10.0.0.1:8080: connect: connection refused".
std::string dial_text(const Target& target, const boost::system::error_code& error);

}  // namespace keelson::probes
