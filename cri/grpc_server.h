// SPDX-License-Identifier: Apache-2.0
// Server on any source of images: what Server::start does after it has opened the image store, and what tests do with a
// folder.
#pragma once

#include <functional>

#include "cri/runtime/image_source.h"
#include "cri/server.h"

namespace grpc {
class Service;
}

namespace keelson::cri {

/// As Server::start, with `services` on the socket beside RuntimeService. `images` and `services` outlive the server.
/// `before_serving` is called when the state of an earlier run has been read back, before the socket takes calls.
Result<std::unique_ptr<Server>> start_server(RuntimeOptions options, ImageSource& images,
                                             const std::vector<grpc::Service*>& services = {},
                                             const std::function<void()>& before_serving = {});

}  // namespace keelson::cri
