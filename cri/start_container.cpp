// SPDX-License-Identifier: Apache-2.0
// RPC StartContainer: lets the made process go.
#include <unistd.h>

#include <sstream>

#include "common/fd.h"
#include "cri/runtime/id_mappings.h"
#include "cri/runtime/lifecycle.h"
#include "cri/service.h"
#include "cri/status.h"

namespace keelson::cri {

namespace {

constexpr int kStartError = 128;

// Who the process became, for ContainerStatus.user, by the ids that it knows itself: /proc tells the node's.
// A process that has ended already leaves it empty.
v1::LinuxContainerUser user_of(int pid, const IdMappings& mappings) {
  v1::LinuxContainerUser user;
  std::istringstream lines(read_file(fmt::format("/proc/{}/status", pid)).value_or(""));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string key;
    fields >> key;
    uint32_t real = 0;
    if (key == "Uid:" && fields >> real) {
      user.set_uid(inside_id(mappings.uids, real));
    } else if (key == "Gid:" && fields >> real) {
      user.set_gid(inside_id(mappings.gids, real));
    } else if (key == "Groups:") {
      while (fields >> real) {
        user.add_supplemental_groups(inside_id(mappings.gids, real));
      }
    }
  }
  return user;
}

Result<> record_failure(const Located& located, const Error& error) {
  return located.container->update([&](ContainerRecord& record) {
    record.set_state(v1::CONTAINER_EXITED);
    record.set_pid(0);
    record.set_started_at(0);
    record.set_finished_at(now_ns());
    record.set_exit_code(kStartError);
    record.set_reason("StartError");
    record.set_message(error.message());
  });
}

Result<> start(Parts& parts, const std::string& id) {
  KEELSON_TRY(const auto located, parts.pods.container(id));
  const std::shared_lock stays(located.sandbox->operation());
  const std::scoped_lock turn(located.container->operation());
  if (located.container->state() != v1::CONTAINER_CREATED) {
    return fail(Kind::conflict, "container {} is not in the state CREATED", located.container->id());
  }
  const auto shim = located.sandbox->shim();
  if (!shim) {
    return fail(Kind::conflict, "sandbox {} is not ready", located.sandbox->id());
  }
  KEELSON_TRY(const auto mappings,
              id_mappings(located.sandbox->record().config().linux().security_context().namespace_options()));
  const auto status = shim->start(located.container->id());
  if (!status) {
    KEELSON_DO(record_failure(located, status.error()));
    tell(parts, *located.sandbox, located.container->id(), v1::CONTAINER_STOPPED_EVENT);
    return std::unexpected(status.error());
  }
  const auto user = user_of(status->pid, mappings);
  KEELSON_DO(located.container->update([&](ContainerRecord& record) {
    record.set_started_at(status->started_at);
    *record.mutable_user() = user;
    if (record.state() == v1::CONTAINER_CREATED) {  // its exit may have been told before this answer came
      record.set_state(v1::CONTAINER_RUNNING);
      record.set_pid(status->pid);
    }
  }));
  tell(parts, *located.sandbox, located.container->id(), v1::CONTAINER_STARTED_EVENT);
  return {};
}

}  // namespace

grpc::Status RuntimeService::StartContainer(grpc::ServerContext*, const v1::StartContainerRequest* request,
                                            v1::StartContainerResponse*) {
  return to_status(start(parts_, request->container_id()).context("start container {}", request->container_id()));
}

}  // namespace keelson::cri
