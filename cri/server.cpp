// SPDX-License-Identifier: Apache-2.0
// Server::start: the image store, then the server on it.
#include "cri/server.h"

namespace keelson::cri {

Result<std::unique_ptr<Server>> Server::start(RuntimeOptions options) {
  return fail(Kind::unsupported, "runtime in {}: this build has no image store", options.state_dir);
}

}  // namespace keelson::cri
