// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/token_request.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "agent/cluster/api_call.h"

namespace keelson::agent {

namespace json = boost::json;

std::string service_account_of(const kube::Pod& pod) {
  return pod.spec.service_account_name.empty() ? "default" : pod.spec.service_account_name;
}

kube::Request token_request(const kube::ObjectMeta& pod, const std::string& service_account,
                            const TokenWanted& wanted) {
  json::array audiences;
  if (!wanted.audience.empty()) {
    audiences.emplace_back(wanted.audience);
  }
  json::object spec{{"audiences", std::move(audiences)}};
  if (wanted.expiration_seconds) {
    spec["expirationSeconds"] = *wanted.expiration_seconds;
  }
  spec["boundObjectRef"] = {{"kind", "Pod"}, {"apiVersion", "v1"}, {"name", pod.name}, {"uid", pod.uid}};
  json::object body{{"apiVersion", "authentication.k8s.io/v1"}, {"kind", "TokenRequest"}};
  if (!wanted.account_uid.empty()) {
    body["metadata"] = {{"uid", wanted.account_uid}};
  }
  body["spec"] = std::move(spec);
  return {.method = "POST",
          .path = object_path(pod.ns, "serviceaccounts", service_account) + "/token",
          .body = json::serialize(body)};
}

Result<IssuedToken> read_token(const std::string& body) {
  boost::system::error_code error;
  const auto value = json::parse(body, error);
  const auto* token = error ? nullptr : value.find_pointer("/status/token", error);
  const auto* expires = error ? nullptr : value.find_pointer("/status/expirationTimestamp", error);
  if (token == nullptr || expires == nullptr || !token->is_string() || !expires->is_string() ||
      token->get_string().empty()) {
    return fail(Kind::invalid, "the API server's answer holds no token");
  }
  KEELSON_TRY(const auto time, parse_rfc3339(std::string(expires->get_string())));
  return IssuedToken{std::string(token->get_string()), time};
}

kube::Request service_account_request(const kube::ObjectMeta& pod, const std::string& service_account) {
  return {.method = "GET", .path = object_path(pod.ns, "serviceaccounts", service_account), .body = {}};
}

Result<ServiceAccount> read_service_account(const std::string& body) {
  boost::system::error_code error;
  const auto value = json::parse(body, error);
  const auto* uid = error ? nullptr : value.find_pointer("/metadata/uid", error);
  if (uid == nullptr || !uid->is_string() || uid->get_string().empty()) {
    return fail(Kind::invalid, "the API server's answer holds no service account");
  }
  ServiceAccount account{.uid = std::string(uid->get_string()), .annotations = {}};
  const auto* annotations = value.find_pointer("/metadata/annotations", error);
  if (annotations != nullptr && annotations->is_object()) {
    for (const auto& [key, text] : annotations->get_object()) {
      if (text.is_string()) {
        account.annotations.emplace(key, text.get_string());
      }
    }
  }
  return account;
}

}  // namespace keelson::agent
