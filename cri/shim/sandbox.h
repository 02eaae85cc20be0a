// SPDX-License-Identifier: Apache-2.0
// The namespaces of one sandbox, held by the shim's own process.
#pragma once

#include <memory>

#include "common/fd.h"
#include "cri/shim/protocol.h"
#include "cri/shim/user_namespace.h"

namespace keelson::cri::shim {

/// Moves this process into the sandbox's new namespaces (network, IPC, UTS as `spec` says), pins the network namespace,
/// mounts the shared memory, sets host name and sysctls, and, when the PID namespace is shared, starts its first
/// process, which does nothing but reap. A user namespace of the sandbox owns all of those; this process holds it, and
/// stays outside. The process must be single-threaded.
class Sandbox {
 public:
  static Result<std::unique_ptr<Sandbox>> enter(SandboxSpec spec);
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;
  ~Sandbox() { close(); }

  /// Kills the shared PID namespace and takes pin and shared memory away. Idempotent; destruction does it too.
  void close();

  const SandboxSpec& spec() const { return spec_; }
  /// The shared PID namespace (as a pidfd of its first process), or -1.
  int pidns() const { return init_pidfd_.get(); }
  pid_t init_pid() const { return init_pid_; }
  const UserNamespace& users() const { return users_; }

 private:
  Result<> enter_namespaces();
  Result<> start_init();
  Result<> hear_init(const Fd& line);
  explicit Sandbox(SandboxSpec spec) : spec_(std::move(spec)) {}
  SandboxSpec spec_;
  UserNamespace users_;
  Fd init_pidfd_;
  pid_t init_pid_ = -1;
  bool pinned_ = false;
  bool shared_memory_ = false;
};

}  // namespace keelson::cri::shim
