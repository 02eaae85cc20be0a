// SPDX-License-Identifier: Apache-2.0
// A certificate asked of the cluster by a CertificateSigningRequest, kept in a file, and renewed in time: the node's
// as a client (TLS bootstrap) and as a server (serverTLSBootstrap).
//
//   is the file's certificate good? --yes--> wait until 70..90 % of its life has passed
//     |no                                       or until the subject is another
//   key (kept in `pending_key` until it has its certificate) -> CSR -> approved and signed by others -> file
//
// The file holds certificate and key, and is replaced as a whole: whoever reads it anew for each connection
// (kube::Credentials, http::TlsCertificate) needs no restart. A daemon that is killed in between goes on with the same
// key and the same CSR.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/node/node_api.h"
#include "agent/node/node_stats.h"
#include "agent/node/x509.h"
#include "common/loop.h"
#include "kube/certificate_request.h"

namespace keelson::agent {

struct ClusterCertificateOptions {
  std::string what;         ///< For messages: "client certificate".
  std::string file;         ///< "<cert-dir>/kubelet-client-current.pem". Its folder exists.
  std::string pending_key;  ///< "<cert-dir>/kubelet-client.key.tmp"
  std::string first;        ///< The file of the certificate that counts until `file` is there; empty: there is none.
  std::string signer;       ///< "kubernetes.io/kube-apiserver-client-kubelet"
  std::vector<std::string> usages;
  std::function<std::optional<CertificateSubject>()> subject;  ///< nullopt: not known (any more, or yet).
  uint64_t seed = 0;                                           ///< Of the moment of renewal.
  CertificateStats* stats = nullptr;                           ///< Told of it; outlives it, may be null.
  /// Looked at so often whether the subject has more than the certificate; and so long nothing is asked for again when
  /// a signer has left something out.
  Duration subject_check = std::chrono::minutes(1);
};

/// Of a node as a client of the API server: CN system:node:<name>, O system:nodes.
ClusterCertificateOptions client_certificate(const std::string& cert_dir, const std::string& node);
/// Of a node as a server, for these names and addresses, as the kubelet takes them from a Node: a name that is an
/// address counts as one, and what is no address is left out. While it has none, it is not known.
ClusterCertificateOptions serving_certificate(const std::string& cert_dir, const std::string& node,
                                              std::function<CertificateSubject()> subject);

/// Belongs to one loop; short files are read and written on it.
class ClusterCertificate {
 public:
  /// `api` is asked with; `bootstrap` (may be null) instead of it while there is no good certificate. Both outlive it.
  ClusterCertificate(Loop& loop, NodeApi& api, NodeApi* bootstrap, ClusterCertificateOptions options);

  /// Until it is cancelled.
  Task<> run();

 private:
  std::optional<CertificateFacts> current() const;
  bool good(const CertificateFacts& facts) const;
  Task<> wait_for_renewal(CertificateFacts facts);
  Task<> renew();
  Task<> order();
  Task<kube::CertificateRequest> submit(std::string key, CertificateSubject subject);
  Task<kube::CertificateRequest> get(std::string name);
  Task<std::string> signed_certificate(kube::CertificateRequest request);
  Result<std::string> pending_key() const;
  Result<> store(const std::string& certificate, const std::string& key) const;
  NodeApi& api() const;

  Loop& loop_;
  NodeApi& own_;
  NodeApi* bootstrap_;
  const ClusterCertificateOptions options_;
  uint64_t random_;
};

}  // namespace keelson::agent
