// SPDX-License-Identifier: Apache-2.0
#include "agent/node/fake_node_api.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include <boost/json.hpp>

#include "tests/support/strategic_merge.h"

namespace keelson::agent {

namespace json = boost::json;

Task<std::string> FakeNodeApi::call(kube::Request request, Duration deadline) {
  requests.push_back(request);
  if (auto failed = fault(request); !failed) {
    if (failed.error().kind() == Kind::timeout) {
      KEELSON_CO_DO(co_await loop_.sleep(deadline));
    }
    co_return std::unexpected(std::move(failed).error());
  }
  co_return answer(request);
}

void FakeNodeApi::touch(json::value& object) {
  object.at("metadata").as_object()["resourceVersion"] = std::to_string(++version_);
}

Result<std::string> FakeNodeApi::create(json::value& object, const std::string& body) {
  if (!object.is_null()) {
    return fail(Kind::exists, "409: already exists");
  }
  object = json::parse(body);
  object.at("metadata").as_object()["uid"] = fmt::format("uid-{}", version_);
  touch(object);
  return json::serialize(object);
}

Result<std::string> FakeNodeApi::patch(const std::string& body) {
  if (node.is_null()) {
    return fail(Kind::not_found, "404: nodes not found");
  }
  testing::strategic_merge(node.as_object(), json::parse(body).as_object());
  touch(node);
  return json::serialize(node);
}

Result<std::string> FakeNodeApi::answer(const kube::Request& request) {
  const bool of_lease = request.path.find("/leases") != std::string::npos;
  auto& object = of_lease ? lease : node;
  if (request.method == "POST") {
    return create(object, request.body);
  }
  if (request.method == "PATCH") {
    return patch(request.body);
  }
  if (object.is_null()) {
    return fail(Kind::not_found, "404: not found");
  }
  if (request.method == "PUT") {
    auto next = json::parse(request.body);
    if (next.at("metadata").at("resourceVersion") != object.at("metadata").at("resourceVersion")) {
      return fail(Kind::conflict, "409: the object has been modified");
    }
    object = std::move(next);
    touch(object);
  }
  return json::serialize(object);
}

kube::FullNode FakeNodeApi::typed_node() const {
  auto read = kube::decode_full_node(json::serialize(node));
  EXPECT_TRUE(read) << read.error().message();
  return read ? *std::move(read) : kube::FullNode();
}

kube::Lease FakeNodeApi::typed_lease() const {
  auto read = kube::decode_lease(json::serialize(lease));
  EXPECT_TRUE(read) << read.error().message();
  return read ? *std::move(read) : kube::Lease();
}

size_t FakeNodeApi::count(std::string_view method, std::string_view path_end) const {
  return static_cast<size_t>(std::ranges::count_if(requests, [&](const kube::Request& request) {
    return request.method == method && request.path.ends_with(path_end);
  }));
}

}  // namespace keelson::agent
