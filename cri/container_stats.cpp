// SPDX-License-Identifier: Apache-2.0
// RPCs ContainerStats, ListContainerStats, PodSandboxStats, ListPodSandboxStats.
#include "cri/runtime/stats.h"
#include "cri/runtime/status_view.h"
#include "cri/service.h"
#include "cri/status.h"

namespace keelson::cri {

grpc::Status RuntimeService::ContainerStats(grpc::ServerContext*, const v1::ContainerStatsRequest* request,
                                            v1::ContainerStatsResponse* response) {
  const auto located = parts_.pods.container(request->container_id());
  if (located) {
    *response->mutable_stats() = stats_of(parts_, *located->container);
  }
  return to_status(located);
}

grpc::Status RuntimeService::ListContainerStats(grpc::ServerContext*, const v1::ListContainerStatsRequest* request,
                                                v1::ListContainerStatsResponse* response) {
  for (const auto& located : parts_.pods.containers()) {
    const bool wanted = located.container->read([&](const auto& record) {
      return record.state() == v1::CONTAINER_RUNNING && matches(request->filter(), record);
    });
    if (wanted) {
      *response->add_stats() = stats_of(parts_, *located.container);
    }
  }
  return grpc::Status::OK;
}

grpc::Status RuntimeService::PodSandboxStats(grpc::ServerContext*, const v1::PodSandboxStatsRequest* request,
                                             v1::PodSandboxStatsResponse* response) {
  const auto sandbox = parts_.pods.sandbox(request->pod_sandbox_id());
  if (sandbox) {
    *response->mutable_stats() = stats_of(parts_, **sandbox);
  }
  return to_status(sandbox);
}

grpc::Status RuntimeService::ListPodSandboxStats(grpc::ServerContext*, const v1::ListPodSandboxStatsRequest* request,
                                                 v1::ListPodSandboxStatsResponse* response) {
  for (const auto& sandbox : parts_.pods.sandboxes()) {
    const bool wanted = sandbox->read(
        [&](const auto& record) { return record.state() == v1::SANDBOX_READY && matches(request->filter(), record); });
    if (wanted) {
      *response->add_stats() = stats_of(parts_, *sandbox);
    }
  }
  return grpc::Status::OK;
}

}  // namespace keelson::cri
