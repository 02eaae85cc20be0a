// SPDX-License-Identifier: Apache-2.0
// Servers that listen as kube-proxy's do.
#pragma once

#include <memory>

#include "common/loop.h"
#include "http/bind_address.h"
#include "http/server.h"

namespace keelson::network {

/// Listens. 0.0.0.0 and :: both mean every address of both families, as in Go; of IPv4 alone where the node has no
/// IPv6. Errors as http::Server::listen_tcp().
Result<> listen(http::Server& server, const http::BindAddress& where);

/// Serves until cancelled, at what it listens on.
Task<> serve(std::shared_ptr<http::Server> server);
/// Listens, and serves until cancelled. A port that cannot be had is logged once and tried again each 5 s.
Task<> serve(Loop& loop, std::shared_ptr<http::Server> server, http::BindAddress where);

}  // namespace keelson::network
