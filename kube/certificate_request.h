// SPDX-License-Identifier: Apache-2.0
// CertificateSigningRequest (certificates.k8s.io/v1): a certificate asked of the cluster, and what became of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "kube/meta.h"
#include "kube/pod_status.h"

namespace keelson::kube {

struct CertificateCondition {
  std::string type;  ///< "Approved", "Denied", "Failed".
  ConditionStatus status = ConditionStatus::unknown;
  std::string reason;
  std::string message;
  bool operator==(const CertificateCondition&) const = default;
};

struct CertificateRequest {
  ObjectMeta metadata;
  std::string request_pem;  ///< PKCS#10.
  std::string signer_name;  ///< "kubernetes.io/kube-apiserver-client-kubelet"
  std::vector<std::string> usages;
  std::optional<int32_t> expiration_seconds;
  std::vector<CertificateCondition> conditions;
  std::string certificate_pem;  ///< Empty: not signed yet.
  bool operator==(const CertificateRequest&) const = default;
};

/// From an API server's JSON; unknown fields are ignored. Kind::invalid names field and reason.
Result<CertificateRequest> decode_certificate_request(std::string_view text);
/// With apiVersion and kind.
std::string encode_json(const CertificateRequest& request);

}  // namespace keelson::kube
