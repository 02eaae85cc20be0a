// SPDX-License-Identifier: Apache-2.0
// RPCs StopContainer and RemoveContainer: both may be called again and again, and of containers that never were.
#include <algorithm>

#include "cri/runtime/lifecycle.h"
#include "cri/service.h"
#include "cri/status.h"

namespace keelson::cri {

namespace {
// Longer than any grace that means something, short enough that no clock overflows.
constexpr int64_t kLongestGrace = 365LL * 24 * 3600;
}  // namespace

grpc::Status RuntimeService::StopContainer(grpc::ServerContext*, const v1::StopContainerRequest* request,
                                           v1::StopContainerResponse*) {
  const auto located = parts_.pods.container(request->container_id());
  if (!located) {
    return located.error().kind() == Kind::not_found ? grpc::Status::OK : to_status(located);
  }
  return to_status(stop_container(parts_, *located,
                                  std::chrono::seconds(std::clamp<int64_t>(request->timeout(), 0, kLongestGrace))));
}

grpc::Status RuntimeService::RemoveContainer(grpc::ServerContext*, const v1::RemoveContainerRequest* request,
                                             v1::RemoveContainerResponse*) {
  const auto located = parts_.pods.container(request->container_id());
  if (!located) {
    return located.error().kind() == Kind::not_found ? grpc::Status::OK : to_status(located);
  }
  return to_status(remove_container(parts_, *located));
}

}  // namespace keelson::cri
