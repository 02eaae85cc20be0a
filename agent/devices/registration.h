// SPDX-License-Identifier: Apache-2.0
// kubelet.sock: where plugins say that they are there.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/loop.h"
#include "common/task_group.h"

namespace keelson::devices {

struct Registration {
  std::string version;   ///< Of the API: "v1beta1".
  std::string endpoint;  ///< The plugin's socket, below the folder.
  std::string resource;
};

/// On the loop. The error is the plugin's answer.
using TakeRegistration = std::function<Task<>(Registration registration)>;

/// Belongs to one loop, though gRPC serves on threads of its own.
class RegistrationServer {
 public:
  /// Kind::unavailable: it cannot listen on `socket`.
  static Result<std::unique_ptr<RegistrationServer>> start(Loop& loop, const std::string& socket,
                                                           TakeRegistration take);
  ~RegistrationServer();
  /// What waits for an answer is told that the node ends; its socket goes. Awaited before it is destroyed.
  Task<> close();

 private:
  class Service;
  RegistrationServer();

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace keelson::devices
