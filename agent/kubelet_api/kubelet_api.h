// SPDX-License-Identifier: Apache-2.0
// The kubelet's HTTPS API: what kube-apiserver, metrics-server and Prometheus ask a node for, on port 10250.
//
//   request --> who is it? (authenticator.h) --> may it? (authorizer.h) --> path
//     /healthz[/ping|/log|/syncloop]   healthz.h
//     /pods, /runningpods, /containerLogs, /exec, /attach, /portForward, /run   agent/pod_endpoints.h
//     /stats/summary, /metrics, /metrics/cadvisor, /metrics/resource            stats_endpoints.h
//     /metrics/probes, /metrics/slis, /configz
//     /debug/pprof/...   profile_endpoints.h
//     /logs/...          system_logs.h
//     /checkpoint/...    checkpoint_endpoint.h
// Beside it /healthz alone over plain HTTP, for whoever watches on the node itself (port 10248).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "agent/kubelet_api/authenticator.h"
#include "agent/kubelet_api/authorizer.h"
#include "agent/kubelet_api/stats_endpoints.h"
#include "agent/kubelet_api/system_logs.h"
#include "agent/node/node_stats.h"
#include "common/loop.h"
#include "http/bind_address.h"
#include "http/tls_certificate.h"
#include "kube/client/kubeconfig.h"

namespace keelson::agent {

struct KubeletApiOptions {
  std::optional<http::BindAddress> where;    ///< None: not served. 0.0.0.0 is every address of both families.
  std::optional<http::BindAddress> healthz;  ///< The same.
  http::TlsOptions tls;                      ///< Without files: signed by itself, kept in `pki_folder`.
  /// The files may come later (a certificate that was asked for): until then no client gets a handshake.
  bool tls_comes_later = false;
  std::string pki_folder = "/var/lib/keelson/pki";
  std::vector<std::string> node_addresses;
  AuthenticationOptions authentication;
  AuthorizationOptions authorization;          ///< With the node's name.
  std::optional<kube::ClusterAccess> cluster;  ///< Who is asked for reviews; none: there is nobody.
  std::string cri_socket;
  std::string image_socket;  ///< Of the image service; empty: the runtime's.
  StatsOptions stats;        ///< Without `more`.
  /// Where its calls are counted with those of other threads; never null. Told in /metrics.
  std::shared_ptr<NodeStats> node_stats = std::make_shared<NodeStats>();
  /// prober_probe_total, for /metrics/probes; called on the agent's thread.
  std::function<void(Stats&)> collect_probes = [](Stats&) {};
  /// False: what looks into pods (logs, exec, attach, port-forward, run, running pods) is 405, "Debug endpoints are
  /// disabled.".
  bool debugging_handlers = true;
  Duration stream_idle = std::chrono::hours(4);  ///< streamingConnectionIdleTimeout
  bool profiling = true;                         ///< enableProfilingHandler
  SystemLogOptions logs;
  std::string checkpoint_folder = "/var/lib/keelson/checkpoints";
  std::string configuration = "{}";  ///< JSON of the KubeletConfiguration that runs.
};

/// On a thread of its own ("kl-api") with its own connections to the API server and the runtime: neither a stuck agent
/// nor a scraper that asks too much is felt by the other.
class KubeletApi {
 public:
  /// Serves from now on. A port that is taken is tried again until it is free. Called on the agent's thread, or before
  /// that runs. Kind::not_found, permission, invalid: a file of `tls` or the client CA, by its setting's name.
  static Result<std::unique_ptr<KubeletApi>> start(KubeletApiOptions options, Loop& agents_loop, Agent& agent);
  /// Ends all connections. The agent's loop must run no more by now, and the agent still be there.
  ~KubeletApi();
  KubeletApi(const KubeletApi&) = delete;
  KubeletApi& operator=(const KubeletApi&) = delete;

 private:
  struct State;
  explicit KubeletApi(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace keelson::agent
