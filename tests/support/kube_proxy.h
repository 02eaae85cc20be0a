// SPDX-License-Identifier: Apache-2.0
// The unmodified kube-proxy 1.34 in a network namespace, beside a control plane: what ours is measured against.
#pragma once

#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include "tests/support/api_objects.h"
#include "tests/support/process.h"

namespace keelson::testing {

/// Why kube-proxy cannot run here: its program (./dev peers), iptables or nft is absent; empty: it can.
std::string why_no_kube_proxy();

enum class ProxyMode { iptables, nftables };
std::string_view to_string(ProxyMode mode);

/// What kube-proxy runs with. The control plane (control_plane.h) runs in the same namespace: enter it, then start()
/// it. The Node `node` is there and has its InternalIPs in its status, else kube-proxy waits 30 s for them.
struct KubeProxySettings {
  ProxyMode mode = ProxyMode::iptables;
  std::string netns;       ///< Path of the network namespace.
  std::string home;        ///< A folder for its files and its log.
  std::string kubeconfig;  ///< ControlPlane::admin_kubeconfig().
  std::string node;
  /// Further keys of its KubeProxyConfiguration, for instance {"nodePortAddresses": ["primary"]}; they go into maps
  /// that are there. Without them it syncs at once when something changes (minSyncPeriod 1 ms), leaves the limits of
  /// conntrack alone, and serves healthz on port 10256 and metrics on 127.0.0.1:10249.
  boost::json::object config;
  /// An iptables of choice: "legacy" or "nft"; empty: what the machine has.
  std::string iptables;
};

/// One at a time in a namespace. Killed with the object; its rules are left then, as on a node.
class KubeProxy {
 public:
  /// Returns once it has synced for the first time (1 s and more), as wait_synced() tells.
  void start(const KubeProxySettings& settings);

  /// What had been written into the API server when this was called is in the kernel, of both families. By a Service
  /// "sync-marker" at 10.96.255.254 and fd96::fffe that is changed and then looked for among the rules. Fails the test
  /// after 120 s.
  void wait_synced();

  /// SIGTERM; rules stay, as they do on a node.
  void stop();
  void kill();  ///< SIGKILL.
  /// As stop(), and all of its rules and tables are taken away (kube-proxy --cleanup). What is left fails the test.
  void clean_up();

  pid_t pid() const { return process_.pid(); }
  /// Its metrics, as Prometheus text.
  std::string metrics() const;
  /// One of them, without labels; NaN if it is not there.
  double metric(const std::string& name) const;
  /// HTTP GET in its namespace: "<code> <body>"; code 000 if nobody listens.
  std::string get(const std::string& url) const;

 private:
  std::string log_file() const { return settings_.home + "/kube-proxy.log"; }
  std::vector<std::string> command(std::vector<std::string> words) const;
  bool has_marker(int number) const;

  KubeProxySettings settings_;
  Background process_;
};

}  // namespace keelson::testing
