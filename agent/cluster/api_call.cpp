// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/api_call.h"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace keelson::agent {

std::string object_path(std::string_view ns, std::string_view resource, std::string_view name) {
  return fmt::format("/api/v1/namespaces/{}/{}{}{}", ns, resource, name.empty() ? "" : "/", name);
}

kube::Request delete_pod_request(std::string_view ns, std::string_view name, std::string_view uid) {
  const boost::json::object options{
      {"apiVersion", "v1"}, {"kind", "DeleteOptions"}, {"gracePeriodSeconds", 0}, {"preconditions", {{"uid", uid}}}};
  return {.method = "DELETE", .path = object_path(ns, "pods", name), .body = boost::json::serialize(options)};
}

bool is_away(const Error& error) {
  return error.code() == 401 || ((error.kind() == Kind::unavailable || error.kind() == Kind::timeout) &&
                                 (error.code() < 500 || error.code() == 503));
}

bool is_other_object(const Error& error) {
  return error.code() == 409 && error.what().find("recondition failed") != std::string::npos;
}

}  // namespace keelson::agent
