// SPDX-License-Identifier: Apache-2.0
// RPC Version: who we are.
#include "cri/service.h"

namespace keelson::cri {

grpc::Status RuntimeService::Version(grpc::ServerContext*, const v1::VersionRequest*, v1::VersionResponse* response) {
  response->set_version("0.1.0");  // of the kubelet's runtime API, a constant since its first days
  response->set_runtime_name("keelson");
  response->set_runtime_version("0.1.0");
  response->set_runtime_api_version("v1");
  return grpc::Status::OK;
}

}  // namespace keelson::cri
