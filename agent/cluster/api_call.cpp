// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/api_call.h"

#include <fmt/format.h>

#include <memory>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace keelson::agent {

namespace {

/// By value, as all of a coroutine's.
Task<std::string> call_within(Loop* loop, ApiCall call, std::shared_ptr<TokenBucket> bucket, kube::Request request,
                              Duration deadline) {
  if (const Duration wait = bucket->reserve(loop->clock().steady()); wait > Duration(0)) {
    KEELSON_CO_DO(co_await loop->sleep(wait));
  }
  co_return co_await call(std::move(request), deadline);
}

}  // namespace

ApiCall limited(Loop& loop, ApiCall call, RateLimit limit) {
  return [&loop, call = std::move(call), bucket = std::make_shared<TokenBucket>(limit)](kube::Request request,
                                                                                        Duration deadline) {
    return call_within(&loop, call, bucket, std::move(request), deadline);
  };
}

Task<std::string> call_of_pod(Loop& loop, ApiCall call, kube::Request request) {
  auto body = co_await call(request, kApiDeadline);
  for (int tries = 1; !body && body.error().code() == 403 && tries < kAuthorizerTries; ++tries) {
    KEELSON_CO_DO(co_await loop.sleep(kAuthorizerLag));
    body = co_await call(request, kApiDeadline);
  }
  co_return body;
}

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
