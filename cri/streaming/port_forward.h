// SPDX-License-Identifier: Apache-2.0
// portforward.k8s.io: TCP connections into a sandbox, each a pair of streams of one SPDY connection.
//
// For each connection the client opens an "error" stream and a "data" stream, both with the headers "port" and
// "requestid" (which pairs them). Bytes go both ways on data, each direction ends by its own FIN. Error carries a text
// if the forward fails, and ends when there is nothing to tell. Source: kubelet pkg/cri/streaming/portforward; texts as
// containerd's sandbox_portforward.
#pragma once

#include <memory>

#include "cri/streaming/server.h"
#include "cri/streaming/session.h"
#include "cri/streaming/spdy_connection.h"

namespace keelson::cri {

/// Serves one SPDY connection until the client leaves; then every forwarded connection is closed. Memory: 32 KiB a
/// direction and connection, and 256 KiB for one whose server does not read; then the client's bytes wait in the TCP
/// connection, all forwards' together. At most 1000 forwards at a time, the next is refused.
Task<> serve_port_forward(SessionRoom room, std::unique_ptr<ByteStream> bytes, ForwardOffer offer);

}  // namespace keelson::cri
