// SPDX-License-Identifier: Apache-2.0
// Where an API server is and who we are there: from a kubeconfig file, or from what every pod is given.
//
// What is wrong gets an error that names file and field; what no node can honour (proxy-url, auth-provider, passwords,
// impersonation, plugins that want a terminal) is refused in words. Errors hold no secret.
#pragma once

#include <memory>
#include <string>

#include "common/result.h"
#include "kube/client/credentials.h"

namespace keelson::kube {

struct ServerAddress {
  std::string host;  ///< A name or an address; IPv6 without brackets.
  uint16_t port = 443;
  bool operator==(const ServerAddress&) const = default;
};
/// "10.0.0.1:6443", "[fd00::1]:6443".
std::string to_string(const ServerAddress& address);
/// The reverse. Kind::invalid otherwise.
Result<ServerAddress> parse_server_address(const std::string& text);

struct ClusterAccess {
  bool tls = true;  ///< False: "http://", as `kubectl proxy` serves; no credential is ever sent there.
  ServerAddress server;
  std::string prefix;    ///< "/k8s/clusters/c-1" of a server behind a path; no slash at its end; mostly empty.
  std::string tls_name;  ///< Whom the server's certificate must name; empty: `server.host`.
  std::string ca_pem;    ///< Who must have signed it; empty: those that the system trusts.
  bool verify = true;    ///< False: insecure-skip-tls-verify.
  std::shared_ptr<Credentials> credentials;  ///< Never null.
};

/// Reads a kubeconfig: the cluster and user of `context`, or of current-context if that is empty. `clock` says when
/// a credential has expired. Blocks on the disk.
Result<ClusterAccess> load_kubeconfig(const std::string& path, const std::string& context = "",
                                      const Clock& clock = real_clock());

/// From KUBERNETES_SERVICE_HOST and _PORT, and the service account's token and ca.crt in `folder`. Kind::not_found: we
/// are in no pod.
Result<ClusterAccess> in_cluster_access(const std::string& folder = "/var/run/secrets/kubernetes.io/serviceaccount");

}  // namespace keelson::kube
