// SPDX-License-Identifier: Apache-2.0
// Server on any source of images: what Server::start does after it has opened the image store, and what tests do with a
// folder.
#pragma once

#include "cri/runtime/image_source.h"
#include "cri/server.h"

namespace grpc {
class Service;
}

namespace keelson::cri {

/// As Server::start, with `services` on the socket beside RuntimeService. `images` and `services` outlive the server.
Result<std::unique_ptr<Server>> start_server(RuntimeOptions options, ImageSource& images,
                                             const std::vector<grpc::Service*>& services = {});

}  // namespace keelson::cri
