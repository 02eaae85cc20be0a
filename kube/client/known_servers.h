// SPDX-License-Identifier: Apache-2.0
// The addresses of a cluster's API servers, remembered on disk.
//
// The address that a kubeconfig or a pod's environment gives is one machine, or a service that this very node is to
// route: with either gone, a node that starts could not learn where the others are. So it remembers them from the last
// time it was told (the EndpointSlices of the service default/kubernetes).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/result.h"
#include "kube/client/kubeconfig.h"
#include "kube/client/watch.h"
#include "kube/endpoint_slice.h"

namespace keelson::kube {

/// It belongs to default/kubernetes.
bool lists_api_servers(const EndpointSlice& slice);

/// One file, written whole or not at all; power cuts included. Not thread-safe; blocks on the disk
/// when it reads, and when addresses have changed.
class KnownServers {
 public:
  /// `path`: "<root>/api-servers.json". Its folder exists.
  explicit KnownServers(std::string path);

  /// What was remembered. Nothing yet: an empty list. Kind::invalid: not a file of ours, said with what to do; the
  /// next change replaces it.
  Result<std::vector<ServerAddress>> load();
  /// What a Watch<EndpointSlice> tells: all slices there are, or what changed of them. Those that list API servers are
  /// followed; when their ready addresses have changed they are written down, and the answer is true. None at all
  /// changes nothing: better an old address than none.
  Result<bool> synced(const std::vector<EndpointSlice>& all);
  Result<bool> changed(const Changes<EndpointSlice>& changes);
  const std::vector<ServerAddress>& servers() const { return servers_; }

 private:
  Result<bool> follow(const std::vector<EndpointSlice>& changed);

  const std::string path_;
  std::map<std::string, EndpointSlice> slices_;
  std::vector<ServerAddress> servers_;
};

}  // namespace keelson::kube
