// SPDX-License-Identifier: Apache-2.0
// RPCs StopPodSandbox and RemovePodSandbox: both may be called again and again, and of sandboxes that never were.
#include "cri/runtime/lifecycle.h"
#include "cri/service.h"
#include "cri/status.h"

namespace keelson::cri {

grpc::Status RuntimeService::StopPodSandbox(grpc::ServerContext*, const v1::StopPodSandboxRequest* request,
                                            v1::StopPodSandboxResponse*) {
  const auto sandbox = parts_.pods.sandbox(request->pod_sandbox_id());
  if (!sandbox) {
    return sandbox.error().kind() == Kind::not_found ? grpc::Status::OK : to_status(sandbox);
  }
  return to_status(stop_sandbox(parts_, *sandbox).context("stop sandbox {}", (*sandbox)->id()));
}

grpc::Status RuntimeService::RemovePodSandbox(grpc::ServerContext*, const v1::RemovePodSandboxRequest* request,
                                              v1::RemovePodSandboxResponse*) {
  const auto sandbox = parts_.pods.sandbox(request->pod_sandbox_id());
  if (!sandbox) {
    return sandbox.error().kind() == Kind::not_found ? grpc::Status::OK : to_status(sandbox);
  }
  return to_status(remove_sandbox(parts_, *sandbox).context("remove sandbox {}", (*sandbox)->id()));
}

}  // namespace keelson::cri
