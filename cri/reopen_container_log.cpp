// SPDX-License-Identifier: Apache-2.0
// RPC ReopenContainerLog: the client has renamed the log; the shim goes on in a new file.
#include "cri/service.h"
#include "cri/status.h"

namespace keelson::cri {

namespace {

Result<> reopen(Parts& parts, const std::string& id) {
  KEELSON_TRY(const auto located, parts.pods.container(id));
  const auto shim = located.sandbox->shim();
  if (!shim || located.container->state() != v1::CONTAINER_RUNNING) {
    return fail(Kind::conflict, "container is not running");
  }
  return shim->reopen_log(located.container->id());
}

}  // namespace

grpc::Status RuntimeService::ReopenContainerLog(grpc::ServerContext*, const v1::ReopenContainerLogRequest* request,
                                                v1::ReopenContainerLogResponse*) {
  return to_status(reopen(parts_, request->container_id()).context("reopen the log of {}", request->container_id()));
}

}  // namespace keelson::cri
