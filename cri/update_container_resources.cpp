// SPDX-License-Identifier: Apache-2.0
// RPCs UpdateContainerResources and UpdatePodSandboxResources.
#include "cri/runtime/handlers.h"
#include "cri/runtime/resources.h"
#include "cri/service.h"
#include "cri/status.h"

namespace keelson::cri {

namespace {

// Zero and empty mean "as it is" in a request, so a record keeps what it has.
void merge(const v1::LinuxContainerResources& from, v1::LinuxContainerResources& to) {
  if (from.hugepage_limits_size() > 0) {
    to.clear_hugepage_limits();  // a list is replaced, not appended to
  }
  to.MergeFrom(from);
}

Result<> update(Parts& parts, const v1::UpdateContainerResourcesRequest& request) {
  KEELSON_TRY(const auto located, parts.pods.container(request.container_id()));
  const std::scoped_lock turn(located.container->operation());
  if (located.container->state() == v1::CONTAINER_EXITED) {
    return fail(Kind::conflict, "container {} has exited", located.container->id());
  }
  const auto cgroup = located.container->read([](const auto& record) { return record.cgroup(); });
  KEELSON_DO(parts.cgroups.apply(cgroup, limits_of(request.linux())).context("linux.resources"));
  KEELSON_DO(update_by_handler(parts, *located.sandbox, located.container->id(), request.linux()));
  return located.container->update(
      [&](ContainerRecord& record) { merge(request.linux(), *record.mutable_resources()); });
}

}  // namespace

grpc::Status RuntimeService::UpdateContainerResources(grpc::ServerContext*,
                                                      const v1::UpdateContainerResourcesRequest* request,
                                                      v1::UpdateContainerResourcesResponse*) {
  return to_status(update(parts_, *request).context("update resources of container {}", request->container_id()));
}

// The pod's cgroup is its client's; we are only told, for VM-like runtimes' sake.
grpc::Status RuntimeService::UpdatePodSandboxResources(grpc::ServerContext*,
                                                       const v1::UpdatePodSandboxResourcesRequest* request,
                                                       v1::UpdatePodSandboxResourcesResponse*) {
  const auto sandbox = parts_.pods.sandbox(request->pod_sandbox_id());
  if (!sandbox) {
    return to_status(sandbox);
  }
  return to_status((*sandbox)->update([&](SandboxRecord& record) {
    auto* linux = record.mutable_config()->mutable_linux();
    *linux->mutable_overhead() = request->overhead();
    *linux->mutable_resources() = request->resources();
  }));
}

}  // namespace keelson::cri
