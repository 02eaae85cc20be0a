// SPDX-License-Identifier: Apache-2.0
// A request for an upgrade, passed on to another server: what the kubelet does with exec, attach and port-forward.
//
// The other server alone knows what the protocol is (SPDY/3.1, a WebSocket): its answer's head goes to the client as it
// is, and then bytes go both ways until one side is done.
#pragma once

#include <string>

#include "common/loop.h"
#include "http/server.h"

namespace keelson::http {

/// Takes the client's connection over. `url` is the whole authority and is told to nobody: http or https with an IP
/// address; the certificate there is the system's affair to believe, or nobody's on loopback. The client's credentials
/// (Authorization, Cookie) are not passed on. If the other server is not there, 502 says so; what it answers instead of
/// an upgrade, at most 64 KiB, is answered. When the client ends its direction the other server hears it and goes on to
/// its end; when that server has ended, the client gets all it has said, and the end. A connection on which nothing
/// moves for `idle` is closed.
Response pass_upgrade(Loop& loop, Request request, std::string url, Duration idle);

}  // namespace keelson::http
