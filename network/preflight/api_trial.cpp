// SPDX-License-Identifier: Apache-2.0
#include "network/preflight/api_trial.h"

#include <chrono>

#include "common/task_group.h"
#include "kube/client/client.h"

namespace keelson::network {
namespace {

constexpr auto kDeadline = std::chrono::seconds(10);

struct Watched {
  const char* path;
  const char* name;
};
constexpr Watched kWatched[] = {{"/api/v1/services?limit=1", "services"},
                                {"/apis/discovery.k8s.io/v1/endpointslices?limit=1", "endpointslices"},
                                {"/api/v1/nodes?limit=1", "nodes"}};

Task<> ask_all(kube::Client* client) {
  for (const auto& watched : kWatched) {
    kube::Request request;
    request.path = watched.path;
    KEELSON_CO_TRY(auto response, co_await client->request(std::move(request), kDeadline));
    if (response.status == 401 || response.status == 403) {
      co_return fail(Kind::permission, "{}: the API server refuses to list them (HTTP {})", watched.name,
                     response.status);
    }
    if (response.status != 200) {
      co_return fail(Kind::unavailable, "{}: HTTP {}", watched.name, response.status);
    }
  }
  co_return Result<>();
}

Task<> ask_and_end(kube::Client* client, Result<>* answer) {
  *answer = co_await ask_all(client);
  auto closed = co_await client->close();
  client->loop().stop();
  co_return closed;
}

}  // namespace

Result<std::string> try_api_server(const std::string& kubeconfig) {
  KEELSON_TRY(auto access, kubeconfig == "in-cluster" ? kube::in_cluster_access() : kube::load_kubeconfig(kubeconfig));
  auto where = kube::to_string(access.server);
  Loop loop(real_clock(), "kl-check");
  kube::Client client(loop, std::move(access));
  Result<> answer;
  TaskGroup tasks(loop);
  tasks.spawn("ask the API server", ask_and_end(&client, &answer));
  loop.run();
  KEELSON_DO(std::move(answer));
  return where;
}

}  // namespace keelson::network
