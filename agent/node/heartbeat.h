// SPDX-License-Identifier: Apache-2.0
// The node's membership in its cluster, on threads of its own: kl-lease renews the Lease, kl-node registers the Node,
// tells its status and keeps its certificates. Each has its own loop, its own connection to the API server, and the
// second its own to the runtime, so that nothing that pods do holds them up, nor one the other.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/node/lease_renewer.h"
#include "agent/node/node_registrar.h"
#include "common/result.h"
#include "kube/client/kubeconfig.h"

namespace keelson::agent {

/// What the cluster certifies.
struct NodeCertificateOptions {
  std::string cert_dir;              ///< Made if it is not there.
  std::string bootstrap_kubeconfig;  ///< Who asks for the first client certificate; empty: nobody.
  /// Renew the client certificate in client_certificate_file(), whether the kubeconfig names that file, another one or
  /// holds one itself: one that it holds is renewed at once. With a bootstrap_kubeconfig it always is.
  bool rotate_client = false;
  bool order_serving = false;  ///< Keep a serving certificate of the cluster's in serving_certificate_file().
};
/// Where the client certificate and its key are kept once they are renewed: "<cert_dir>/kubelet-client-current.pem".
std::string client_certificate_file(const std::string& cert_dir);
/// Access by a kubeconfig, or "in-cluster". With `rotated`, a client_certificate_file(), that is used instead of the
/// kubeconfig's certificate, if it has one, as soon as the file is there. Errors of kube::load_kubeconfig().
Result<kube::ClusterAccess> node_access(const std::string& kubeconfig, const std::string& rotated);
/// Where the certificate and key of the kubelet's API are kept, if they are ordered:
/// "<cert_dir>/kubelet-server-current.pem".
std::string serving_certificate_file(const std::string& cert_dir);

struct HeartbeatOptions {
  std::string kubeconfig;  ///< Path, or "in-cluster".
  NodeCertificateOptions certificates;
  /// Other API servers than the kubeconfig's, as known from an earlier run.
  std::vector<kube::ServerAddress> other_servers;
  std::string runtime_socket;
  std::string image_socket;  ///< Of the image service; empty: the runtime's.
  std::string state_dir;     ///< On whose file system pods' files are.
  std::chrono::seconds lease_duration{40};
  /// `tell` is called on the thread kl-node; the seed is set here, and board and stats below.
  RegistrarOptions registrar;
  NodeBoard* board = nullptr;  ///< Where the agent writes; outlives the heartbeat, may be null. News are told at once.
  /// Where both threads count their calls; never null.
  std::shared_ptr<NodeStats> stats = std::make_shared<NodeStats>();
};

class Heartbeat {
 public:
  /// Writes the kubeconfig that a bootstrap_kubeconfig stands for, if it is not there: for who reads it before start(),
  /// which does so, too.
  static Result<> prepare(const HeartbeatOptions& options);
  /// Reads the kubeconfig, or writes it first (bootstrap.h), and starts the threads. Kind::invalid or not_found: what
  /// is wrong with the kubeconfig; that the API server does not answer is no error, it is tried until it does.
  static Result<std::unique_ptr<Heartbeat>> start(HeartbeatOptions options);
  /// Ends both threads. The Lease is left to run out: a node that starts again in time was never away.
  virtual ~Heartbeat() = default;
};

}  // namespace keelson::agent
