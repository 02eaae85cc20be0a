// SPDX-License-Identifier: Apache-2.0
// RPCs PodSandboxStatus and ListPodSandbox.
#include <boost/json.hpp>

#include "cri/runtime/status_view.h"
#include "cri/service.h"
#include "cri/status.h"

namespace keelson::cri {

grpc::Status RuntimeService::PodSandboxStatus(grpc::ServerContext*, const v1::PodSandboxStatusRequest* request,
                                              v1::PodSandboxStatusResponse* response) {
  const auto sandbox = parts_.pods.sandbox(request->pod_sandbox_id());
  if (!sandbox) {
    return to_status(sandbox);
  }
  const auto record = (*sandbox)->record();
  *response->mutable_status() = status_of(record);
  for (const auto& container : (*sandbox)->containers()) {
    *response->add_containers_statuses() = container->read([](const auto& one) { return status_of(one); });
  }
  if (request->verbose()) {
    const auto shim = (*sandbox)->shim();
    (*response->mutable_info())["info"] =
        boost::json::serialize(boost::json::value{{"pid", shim ? shim->pid() : 0},
                                                  {"netns", record.netns_path()},
                                                  {"cgroup", parts_.cgroups.child(record.cgroup_parent(), record.id())},
                                                  {"cniResult", record.cni_result()}});
  }
  return grpc::Status::OK;
}

grpc::Status RuntimeService::ListPodSandbox(grpc::ServerContext*, const v1::ListPodSandboxRequest* request,
                                            v1::ListPodSandboxResponse* response) {
  for (const auto& sandbox : parts_.pods.sandboxes()) {
    sandbox->read([&](const SandboxRecord& record) {
      if (record.complete() && matches(request->filter(), record)) {
        *response->add_items() = list_item(record);
      }
    });
  }
  return grpc::Status::OK;
}

}  // namespace keelson::cri
