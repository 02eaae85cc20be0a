// SPDX-License-Identifier: Apache-2.0
#include "agent/node/fake_node_api.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include <boost/json.hpp>

namespace keelson::agent {

namespace {

namespace json = boost::json;

/// Lists of a Node that a strategic merge patch merges by a key.
std::string_view merge_key(std::string_view field) {
  return field == "conditions" || field == "addresses" ? "type" : "";
}

bool replaces(const json::array& list) {
  return std::ranges::any_of(list, [](const json::value& item) { return item.as_object().contains("$patch"); });
}

void merge(json::object& into, const json::object& patch);

void merge_list(json::array& into, const json::array& patch, std::string_view key) {
  if (replaces(patch)) {
    into.clear();
  }
  for (const auto& item : patch) {
    if (item.as_object().contains("$patch")) {
      continue;
    }
    auto* const found = replaces(patch) ? into.end() : std::ranges::find_if(into, [&](const json::value& one) {
      return one.at(key) == item.at(key);
    });
    if (found == into.end()) {
      into.push_back(item);
    } else {
      merge(found->as_object(), item.as_object());
    }
  }
}

void merge(json::object& into, const json::object& patch) {
  for (const auto& [key, value] : patch) {
    auto* const old = into.if_contains(key);
    if (value.is_null()) {
      into.erase(key);
    } else if (old != nullptr && old->is_object() && value.is_object()) {
      merge(old->as_object(), value.as_object());
    } else if (old != nullptr && value.is_array() && !merge_key(key).empty()) {
      merge_list(old->as_array(), value.as_array(), merge_key(key));
    } else {
      into[key] = value;
    }
  }
}

}  // namespace

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
  merge(node.as_object(), json::parse(body).as_object());
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
