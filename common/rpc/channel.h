// SPDX-License-Identifier: Apache-2.0
// Channels to services of this machine.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

namespace keelson::rpc {

/// A channel to the Unix socket at `socket`, shared with nobody: no one waits behind what another sends. It connects
/// with the first call, and again, within a second, when the peer has come back. `max_message`: bytes of a request and
/// of an answer; 0: gRPC's own (4 MiB for an answer).
std::shared_ptr<grpc::Channel> channel_to(const std::string& socket, int max_message = 0);

}  // namespace keelson::rpc
