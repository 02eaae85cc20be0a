// SPDX-License-Identifier: Apache-2.0
// Server on any source of images: what Server::start does after it has opened the image store, and what tests do with a
// folder.
#pragma once

#include "cri/runtime/image_source.h"
#include "cri/server.h"

namespace keelson::cri {

/// As Server::start. `images` outlives the server.
Result<std::unique_ptr<Server>> start_server(RuntimeOptions options, ImageSource& images);

}  // namespace keelson::cri
