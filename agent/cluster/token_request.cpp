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
                            const std::string& audience, int64_t expiration_seconds) {
  json::array audiences;
  if (!audience.empty()) {
    audiences.emplace_back(audience);
  }
  const json::object body{
      {"apiVersion", "authentication.k8s.io/v1"},
      {"kind", "TokenRequest"},
      {"spec",
       {{"audiences", std::move(audiences)},
        {"expirationSeconds", expiration_seconds},
        {"boundObjectRef", {{"kind", "Pod"}, {"apiVersion", "v1"}, {"name", pod.name}, {"uid", pod.uid}}}}}};
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

}  // namespace keelson::agent
