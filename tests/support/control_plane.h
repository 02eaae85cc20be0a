// SPDX-License-Identifier: Apache-2.0
// A real etcd and kube-apiserver 1.34, with kubectl, in a network namespace of the test's own.
#pragma once

#include <string>
#include <vector>

#include "tests/support/process.h"

namespace keelson::testing {

inline constexpr const char* kApiServer = "https://127.0.0.1:6443";
inline constexpr const char* kAdminToken = "admin-token";

/// The program that tests/peers/kubernetes.sh builds; empty if it has not been built.
std::string kubernetes_program();

/// Moves this process into a network namespace with a loopback and one link with `address` ("10.250.0.1"/24), which is
/// its default route too: what programs take for the node's address. Reaches nothing else.
void enter_node_network(const std::string& address);

/// Cluster IPs are 10.96.0.0/16 and fd96::/108. Users by static token: "admin" (system:masters), and per node
/// "system:node:<name>", as the Node authorizer wants.
class ControlPlane {
 public:
  /// Files in `home`, which exists. `node`: the one that may register.
  ControlPlane(std::string home, std::string node);

  /// etcd, then the API server; returns once /readyz says ok (some 3 s). Fails the test if it does not within 60 s.
  void start();
  /// The API server alone: SIGKILL and its end; and again, on the same state, until /readyz says ok.
  void kill_api_server();
  void start_api_server();

  /// As admin. A call that hangs fails (124) after 30 s.
  Output kubectl(const std::vector<std::string>& arguments, const std::string& input = "");
  /// `kubectl` as a command that a test starts itself.
  std::vector<std::string> kubectl_command(const std::vector<std::string>& arguments) const;
  std::string admin_kubeconfig() const { return home_ + "/admin.conf"; }
  std::string node_kubeconfig() const { return home_ + "/node.conf"; }
  const std::string& node() const { return node_; }

 private:
  std::string write_kubeconfig(const std::string& name, const std::string& token) const;

  std::string home_;
  std::string node_;
  std::string program_;
  Background etcd_;
  Background api_server_;
};

}  // namespace keelson::testing
