// SPDX-License-Identifier: Apache-2.0
// Servers that listen as those of Kubernetes do.
#pragma once

#include <memory>

#include "common/loop.h"
#include "http/bind_address.h"
#include "http/server.h"

namespace keelson::http {

/// Listens. 0.0.0.0 and :: both mean every address of both families, as in Go; of IPv4 alone where the node has no
/// IPv6. Errors as Server::listen_tcp().
Result<> listen(Server& server, const BindAddress& where);

/// Serves until cancelled, at what it listens on.
Task<> serve(std::shared_ptr<Server> server);
/// Listens, and serves until cancelled. A port that cannot be had is logged once and tried again each 5 s.
Task<> serve(Loop& loop, std::shared_ptr<Server> server, BindAddress where);

}  // namespace keelson::http
