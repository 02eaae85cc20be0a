// SPDX-License-Identifier: Apache-2.0
// RPCs RuntimeConfig and UpdateRuntimeConfig: what the node and the runtime must agree on.
#include "cri/service.h"

namespace keelson::cri {

grpc::Status RuntimeService::RuntimeConfig(grpc::ServerContext*, const v1::RuntimeConfigRequest*,
                                           v1::RuntimeConfigResponse* response) {
  response->mutable_linux()->set_cgroup_driver(parts_.options.systemd_cgroups ? v1::SYSTEMD : v1::CGROUPFS);
  return grpc::Status::OK;
}

// The pod CIDR is for runtimes that write a CNI configuration from a template; ours takes the configuration as it is.
grpc::Status RuntimeService::UpdateRuntimeConfig(grpc::ServerContext*, const v1::UpdateRuntimeConfigRequest*,
                                                 v1::UpdateRuntimeConfigResponse*) {
  return grpc::Status::OK;
}

}  // namespace keelson::cri
