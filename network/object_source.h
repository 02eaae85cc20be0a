// SPDX-License-Identifier: Apache-2.0
// Where Services, EndpointSlices and Nodes come from, as changes of what was told before.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/loop.h"
#include "common/stats.h"
#include "dataplane/translate/translator.h"
#include "kube/node.h"
#include "kube/pod.h"

namespace keelson::network {

struct NodeChange {
  std::vector<kube::Node> changed;
  std::vector<std::string> removed;  ///< Names.
  bool all = false;                  ///< `changed` are all there are.
};

/// One step of a source: what changed since the last one.
struct ObjectBatch {
  dataplane::ObjectChange objects;
  NodeChange nodes;
  /// All that the source holds has been told once. Before that services that are missing are not gone, only not yet
  /// told: nothing may be taken away for them. Once true it stays true.
  bool synced = false;
};

/// Belongs to one loop.
class ObjectSource {
 public:
  virtual ~ObjectSource() = default;
  /// Hands batches to `take`, in order, on the loop, until cancelled. What fails is logged and tried again; what was
  /// told stays as it is meanwhile.
  virtual Task<> run(std::function<void(ObjectBatch)> take) = 0;
  /// "" while the source answers; else since when and why not, for people.
  virtual std::string trouble() const { return ""; }
  /// Numbers of how the source was asked, if it is asked.
  virtual void collect([[maybe_unused]] Stats& stats) const {}
};

/// A source without a control plane: what the pods of this node are is told by who runs them.
class LocalSource : public ObjectSource {
 public:
  /// A pod has come, has another status, or has gone. On the loop; before run(), too.
  virtual void pod_changed(kube::Pod pod, bool gone) = 0;
};

/// The Services, EndpointSlices and Nodes of a folder of manifests (kube/folder): a bad document keeps its last good
/// version, and is logged with file, line and field. A service with a selector gets the slices that its pods make
/// (derived_slices.h) beside those that name it.
std::unique_ptr<LocalSource> folder_source(Loop& loop, std::string path, std::string node_name);

struct ApiSourceOptions {
  std::string kubeconfig;    ///< Empty: that of a pod (the service account's).
  std::string node_name;     ///< Whose Node is watched, unless `all_nodes`.
  bool all_nodes = false;    ///< Their addresses are needed (DSR).
  std::string servers_file;  ///< Where the addresses of all API servers are remembered, for the next start.
  /// A file that counts before the kubeconfig's certificate, once it is there
  /// (kube::Credentials::prefer_certificate()).
  std::string client_certificate = {};
};

/// Those of a cluster, listed and watched at its API servers. Services and slices that another proxy serves are not
/// asked for. Kind::invalid or not_found: the kubeconfig is wrong, told with its field.
Result<std::unique_ptr<ObjectSource>> api_source(Loop& loop, ApiSourceOptions options);

}  // namespace keelson::network
