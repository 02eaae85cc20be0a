// SPDX-License-Identifier: Apache-2.0
// The API server as heartbeats need it: a kube::Client, or a test's that fails.
#pragma once

#include <string>

#include "common/loop.h"
#include "kube/client/api.h"

namespace keelson::agent {

/// On one loop.
class NodeApi {
 public:
  virtual ~NodeApi() = default;
  /// As kube::call().
  virtual Task<std::string> call(kube::Request request, Duration deadline) = 0;
  /// Watches (`path` says what, and from which version) until something has changed, or `limit` has passed: both are a
  /// success, for who waits looks again. Errors as call()'s.
  virtual Task<> wait_for_change(std::string path, Duration limit) = 0;
  /// As kube::Client::drop_connection().
  virtual void drop_connection() = 0;
};

/// Over a client's own connection; the client outlives it.
class ClientApi : public NodeApi {
 public:
  explicit ClientApi(kube::Client& client) : client_(client) {}
  Task<std::string> call(kube::Request request, Duration deadline) override {
    return kube::call(client_, std::move(request), deadline);
  }
  Task<> wait_for_change(std::string path, Duration limit) override;
  void drop_connection() override { client_.drop_connection(); }

 private:
  kube::Client& client_;
};

}  // namespace keelson::agent
