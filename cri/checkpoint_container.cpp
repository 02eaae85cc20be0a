// SPDX-License-Identifier: Apache-2.0
// RPC CheckpointContainer: not built, and says so.
#include "cri/service.h"
#include "cri/status.h"

namespace keelson::cri {

grpc::Status RuntimeService::CheckpointContainer(grpc::ServerContext*, const v1::CheckpointContainerRequest* request,
                                                 v1::CheckpointContainerResponse*) {
  return to_status(Result<>(fail(
      Kind::unsupported, "checkpoint container {}: this runtime makes no checkpoints; the container runs on unchanged",
      request->container_id())));
}

}  // namespace keelson::cri
