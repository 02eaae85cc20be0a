// SPDX-License-Identifier: Apache-2.0
// RPC ExecSync: a command, its output and its exit code, within a time.
#include <algorithm>

#include "cri/runtime/exec.h"
#include "cri/service.h"
#include "cri/status.h"

namespace keelson::cri {

grpc::Status RuntimeService::ExecSync(grpc::ServerContext*, const v1::ExecSyncRequest* request,
                                      v1::ExecSyncResponse* response) {
  const auto located = parts_.pods.container(request->container_id());
  if (!located) {
    return to_status(located);
  }
  const std::chrono::seconds limit(std::clamp<int64_t>(request->timeout(), 0, 365LL * 24 * 3600));
  auto outcome = run_exec(parts_, *located, {request->cmd().begin(), request->cmd().end()}, limit)
                     .context("exec in container {}", located->container->id());
  if (outcome) {
    // The message as a whole must stay below gRPC's limit of 16 MiB.
    constexpr size_t kMost = (16 << 20) - 4096;
    outcome->output.resize(std::min(outcome->output.size(), kMost));
    outcome->error.resize(std::min(outcome->error.size(), kMost - outcome->output.size()));
    response->set_stdout(std::move(outcome->output));
    response->set_stderr(std::move(outcome->error));
    response->set_exit_code(outcome->exit_code);
  }
  return to_status(outcome);
}

}  // namespace keelson::cri
