// SPDX-License-Identifier: Apache-2.0
// The two nodes of cluster_bench, on one control plane: Keelson with all its roles, and the stock kubelet on containerd
// with the reference CNI plugins.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "bench/report.h"
#include "tests/support/control_plane.h"

namespace keelson::bench {

/// A node and what it costs.
struct ClusterSide {
  std::string name;                          ///< For people.
  std::string node;                          ///< Its Node.
  std::vector<std::string> users;            ///< By whom the API server knows it.
  std::string cgroup;                        ///< Daemons, keepers, and pods, and nothing else.
  std::string keeper;                        ///< The name of what stands by each pod.
  std::string mark;                          ///< A path of this run, in each keeper's command line.
  std::vector<testing::Background> daemons;  ///< Killed with the object.
  Samples samples;

  /// Memory of daemons and keepers into `samples`, under names that end in `suffix`.
  void weigh(const std::string& suffix);
  /// SIGTERM to the daemons, and their ends. The pods must be gone.
  void stop();
};

/// Where both keep their files, and the control plane they belong to.
struct ClusterPlace {
  std::string home;    ///< Its last part names the cgroup.
  std::string bin;     ///< Our binaries.
  std::string images;  ///< Folder of archives.
  testing::ControlPlane& control_plane;
  std::string our_node, their_node;
  std::string their_kubeconfig;
};

/// Both return once the daemons answer; that the Node is Ready is the API's to say. What fails throws, as tests/support
/// does with throw_on_failure.
ClusterSide start_keelson(const ClusterPlace& place);
ClusterSide start_kubelet(const ClusterPlace& place);

/// How often a user has asked the API server for what ("patch pods/status"), from its audit log. Leases, Nodes and
/// watches that begin again are left out: they do not come of pods.
class ApiRequests {
 public:
  explicit ApiRequests(std::string audit_log) : log_(std::move(audit_log)) {}
  /// Since the last call, by user.
  std::map<std::string, std::map<std::string, int>> take();

 private:
  std::string log_;
  std::streamoff read_ = 0;
};

}  // namespace keelson::bench
