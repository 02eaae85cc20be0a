// SPDX-License-Identifier: Apache-2.0
// RPCs RuntimeConfig and UpdateRuntimeConfig: what the node and the runtime must agree on.
#include "cri/service.h"
#include "cri/status.h"

namespace keelson::cri {

grpc::Status RuntimeService::RuntimeConfig(grpc::ServerContext*, const v1::RuntimeConfigRequest*,
                                           v1::RuntimeConfigResponse* response) {
  response->mutable_linux()->set_cgroup_driver(parts_.options.systemd_cgroups ? v1::SYSTEMD : v1::CGROUPFS);
  return grpc::Status::OK;
}

// Other runtimes write a CNI configuration from a template then; ours tells those plugins that ask for it.
grpc::Status RuntimeService::UpdateRuntimeConfig(grpc::ServerContext*, const v1::UpdateRuntimeConfigRequest* request,
                                                 v1::UpdateRuntimeConfigResponse*) {
  const auto& cidr = request->runtime_config().network_config().pod_cidr();
  return cidr.empty() ? grpc::Status::OK : to_status(parts_.network.set_pod_ranges(cidr).context("pod_cidr"));
}

}  // namespace keelson::cri
