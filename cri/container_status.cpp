// SPDX-License-Identifier: Apache-2.0
// RPCs ContainerStatus and ListContainers.
#include <boost/json.hpp>

#include "cri/runtime/status_view.h"
#include "cri/service.h"
#include "cri/status.h"

namespace keelson::cri {

grpc::Status RuntimeService::ContainerStatus(grpc::ServerContext*, const v1::ContainerStatusRequest* request,
                                             v1::ContainerStatusResponse* response) {
  const auto located = parts_.pods.container(request->container_id());
  if (!located) {
    return to_status(located);
  }
  const auto record = located->container->record();
  *response->mutable_status() = status_of(record);
  if (request->verbose()) {
    (*response->mutable_info())["info"] = boost::json::serialize(
        boost::json::value{{"sandboxID", record.sandbox_id()}, {"pid", record.pid()}, {"cgroup", record.cgroup()}});
  }
  return grpc::Status::OK;
}

grpc::Status RuntimeService::ListContainers(grpc::ServerContext*, const v1::ListContainersRequest* request,
                                            v1::ListContainersResponse* response) {
  for (const auto& located : parts_.pods.containers()) {
    located.container->read([&](const ContainerRecord& record) {
      if (record.complete() && matches(request->filter(), record)) {
        *response->add_containers() = list_item(record);
      }
    });
  }
  return grpc::Status::OK;
}

}  // namespace keelson::cri
