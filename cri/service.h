// SPDX-License-Identifier: Apache-2.0
// The gRPC face: one method an RPC, each in a file of its own name (version.cpp, run_pod_sandbox.cpp).
#pragma once

#include "cri/proto/api.grpc.pb.h"
#include "cri/server.h"

namespace keelson::cri {

namespace v1 = ::runtime::v1;

/// RuntimeService. Called by gRPC's threads, many at once.
class RuntimeService final : public v1::RuntimeService::Service {
 public:
  grpc::Status Version(grpc::ServerContext*, const v1::VersionRequest*, v1::VersionResponse* response) override;
};

}  // namespace keelson::cri
