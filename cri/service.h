// SPDX-License-Identifier: Apache-2.0
// The gRPC face: one method an RPC, each in a file of its own name (version.cpp, run_pod_sandbox.cpp).
#pragma once

#include "cri/proto/api.grpc.pb.h"
#include "cri/runtime/parts.h"

namespace keelson::cri {

namespace v1 = ::runtime::v1;

/// RuntimeService. Called by gRPC's threads, many at once. What is not overridden answers UNIMPLEMENTED.
class RuntimeService final : public v1::RuntimeService::Service {
 public:
  explicit RuntimeService(Parts& parts) : parts_(parts) {}

#define KEELSON_RPC(name) \
  grpc::Status name(grpc::ServerContext*, const v1::name##Request*, v1::name##Response*) override
  KEELSON_RPC(Version);
  KEELSON_RPC(Status);
  KEELSON_RPC(RuntimeConfig);
  KEELSON_RPC(UpdateRuntimeConfig);
  KEELSON_RPC(RunPodSandbox);
  KEELSON_RPC(StopPodSandbox);
  KEELSON_RPC(RemovePodSandbox);
  KEELSON_RPC(PodSandboxStatus);
  KEELSON_RPC(ListPodSandbox);
  KEELSON_RPC(CreateContainer);
  KEELSON_RPC(StartContainer);
  KEELSON_RPC(StopContainer);
  KEELSON_RPC(RemoveContainer);
  KEELSON_RPC(ContainerStatus);
  KEELSON_RPC(ListContainers);
  KEELSON_RPC(UpdateContainerResources);
  KEELSON_RPC(UpdatePodSandboxResources);
  KEELSON_RPC(ReopenContainerLog);
  KEELSON_RPC(ExecSync);
  KEELSON_RPC(Exec);
  KEELSON_RPC(Attach);
  KEELSON_RPC(PortForward);
  KEELSON_RPC(ContainerStats);
  KEELSON_RPC(ListContainerStats);
  KEELSON_RPC(PodSandboxStats);
  KEELSON_RPC(ListPodSandboxStats);
  KEELSON_RPC(ListMetricDescriptors);
  KEELSON_RPC(ListPodSandboxMetrics);
  KEELSON_RPC(CheckpointContainer);
#undef KEELSON_RPC
  grpc::Status GetContainerEvents(grpc::ServerContext*, const v1::GetEventsRequest*,
                                  grpc::ServerWriter<v1::ContainerEventResponse>*) override;

 private:
  Parts& parts_;
};

}  // namespace keelson::cri
