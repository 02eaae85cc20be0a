// SPDX-License-Identifier: Apache-2.0
// A real etcd and kube-apiserver 1.34, with kubectl, in a network namespace of the test's own; and what else makes a
// cluster, where a test wants it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/certificates.h"
#include "tests/support/process.h"

namespace keelson::testing {

inline constexpr const char* kApiServer = "https://127.0.0.1:6443";
inline constexpr const char* kAdminToken = "admin-token";

/// A program that `./dev peers` builds, "metrics-server-0.8.0/metrics-server"; empty if it has not been built.
std::string peer_program(const std::string& name);
/// The program that tests/peers/kubernetes.sh builds; empty if it has not been built.
std::string kubernetes_program();

/// Moves this process into a network namespace with a loopback and one link with `address` ("10.250.0.1"/24), which is
/// its default route too: what programs take for the node's address. Reaches nothing else.
void enter_node_network(const std::string& address);

/// Cluster IPs are 10.96.0.0/16 and fd96::/108. Users by static token: "admin" (system:masters), and per node
/// "system:node:<name>", as the Node authorizer wants; and by certificates of the cluster's authority.
class ControlPlane {
 public:
  enum class Parts {
    api,  ///< Nobody makes service accounts, so pods need none.
    all   ///< With kube-controller-manager and kube-scheduler; pods reach the API server, too (10.96.0.1).
  };
  /// Files in `home`, which exists. `node`: the one that may register.
  ControlPlane(std::string home, std::string node, Parts parts = Parts::api);

  /// Before start(): another node that may register; its kubeconfig.
  std::string add_node(const std::string& name);
  /// Before start(): what nodes and kube-proxy ask for is written into audit_log(), a JSON line (audit.k8s.io/v1 Event,
  /// level Metadata) for each request that has been answered.
  void audit_nodes() { audits_ = true; }
  std::string audit_log() const { return home_ + "/audit.log"; }

  /// etcd, then the API server; returns once /readyz says ok (some 3 s), once the Service default/kubernetes is there,
  /// and once there are service accounts if there shall be any. Fails the test if one of these does not come about
  /// within two minutes.
  void start();
  /// The API server alone: SIGKILL and its end; and again, on the same state, until /readyz says ok.
  void kill_api_server();
  void start_api_server();

  /// As admin. A call that hangs fails (124) after 90 s.
  Output kubectl(const std::vector<std::string>& arguments, const std::string& input = "");
  /// Whether an Event about the object has `part` in its "Warning Evicted The node was low on ...", now or within 30 s:
  /// events come after what they tell of.
  ::testing::AssertionResult has_event(const std::string& object, const std::string& part);
  /// All such lines of now.
  std::string events_of(const std::string& object);
  /// `kubectl` as a command that a test starts itself.
  std::vector<std::string> kubectl_command(const std::vector<std::string>& arguments) const;
  std::string admin_kubeconfig() const { return home_ + "/admin.conf"; }
  std::string node_kubeconfig() const { return home_ + "/node.conf"; }
  /// kube-proxy's user, who may watch EndpointSlices; a node's may not.
  std::string proxy_kubeconfig() const { return home_ + "/proxy.conf"; }
  /// Of a user of system:bootstrappers, who may ask for a node's certificate once roles are bound.
  std::string bootstrap_kubeconfig() const { return home_ + "/bootstrap.conf"; }
  const std::string& node() const { return node_; }
  /// Who signs for the cluster: servers, and users (their name, and their group as the organization). PEM in a file.
  std::string authority_file() const { return home_ + "/ca.crt"; }
  TestAuthority& authority() { return authority_; }
  /// By which the API server proves to kubelets who it is: kube-apiserver-kubelet-client of system:masters.
  std::string kubelet_client_certificate_file() const { return home_ + "/kubelet-client.crt"; }
  std::string kubelet_client_key_file() const { return home_ + "/kubelet-client.key"; }

 private:
  std::string write_kubeconfig(const std::string& name, const std::string& token) const;
  std::string write_audit_policy() const;
  void write_certificates();
  void start_controllers();
  void wait_for(const std::vector<std::string>& arguments, const std::string& answer, Background& program,
                const std::string& log);

  friend struct ControlPlaneWithFiles;
  std::string home_;
  std::string node_;
  Parts parts_;
  bool audits_ = false;
  std::string more_tokens_;
  std::string program_;
  TestAuthority authority_;
  Background etcd_;
  Background api_server_;
  Background controllers_;
  Background scheduler_;
};

/// Ends it and removes its folder.
struct ControlPlaneWithFiles {
  void operator()(ControlPlane* plane) const;
};
using OwnControlPlane = std::unique_ptr<ControlPlane, ControlPlaneWithFiles>;

/// For a suite of tests: one that runs, in a folder of its own, after enter_node_network(). Null: it cannot run here,
/// for want of root or of the stock programs.
OwnControlPlane start_control_plane(const std::string& node, const std::string& address,
                                    ControlPlane::Parts parts = ControlPlane::Parts::api);

}  // namespace keelson::testing
