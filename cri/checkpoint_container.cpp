// SPDX-License-Identifier: Apache-2.0
// RPC CheckpointContainer: not built, and says so.
#include "cri/service.h"

namespace keelson::cri {

grpc::Status RuntimeService::CheckpointContainer(grpc::ServerContext*, const v1::CheckpointContainerRequest* request,
                                                 v1::CheckpointContainerResponse*) {
  return {grpc::StatusCode::UNIMPLEMENTED, "checkpoint container " + request->container_id() +
                                               ": this runtime makes no checkpoints; the container runs on unchanged"};
}

}  // namespace keelson::cri
