// SPDX-License-Identifier: Apache-2.0
#include "agent/storage/csi_node_object.h"

#include <algorithm>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "kube/full_node.h"

namespace keelson::storage {

namespace {

constexpr const char* kPath = "/apis/storage.k8s.io/v1/csinodes";
constexpr int kTries = 5;

}  // namespace

CsiNodeObject::CsiNodeObject(Loop& loop, agent::ApiCall call, std::string node_name)
    : call_(std::move(call)), node_name_(std::move(node_name)), turns_(loop) {}

Task<> CsiNodeObject::put(kube::CsiNodeDriver driver, kube::StringMap topology) {
  KEELSON_CO_TRY(const auto turn, co_await turns_.take(""));
  if (!topology.empty()) {
    KEELSON_CO_DO(co_await label(std::move(topology)));
  }
  co_return co_await retried([this, driver] { return put_once(driver); });
}

Task<> CsiNodeObject::remove(std::string driver) {
  KEELSON_CO_TRY(const auto turn, co_await turns_.take(""));
  co_return co_await retried([this, driver] { return remove_once(driver); });
}

Task<> CsiNodeObject::retried(std::function<Task<>()> change) {
  auto done = co_await change();
  for (int tries = 1; !done && done.error().code() == 409 && tries < kTries; ++tries) {
    done = co_await change();
  }
  co_return done;
}

Task<std::optional<kube::CsiNode>> CsiNodeObject::read() {
  kube::Request request;
  request.path = std::string(kPath) + "/" + node_name_;
  auto text = co_await call_(std::move(request), agent::kApiDeadline);
  if (!text && text.error().kind() == Kind::not_found) {
    co_return std::optional<kube::CsiNode>();
  }
  if (!text) {
    co_return std::unexpected(std::move(text).error());
  }
  KEELSON_CO_TRY(auto node, kube::decode_csi_node(*text));
  co_return std::optional(std::move(node));
}

Task<> CsiNodeObject::write(kube::CsiNode node, bool is_new) {
  kube::Request request{.method = is_new ? "POST" : "PUT", .path = kPath, .body = kube::encode_json(node)};
  if (!is_new) {
    request.path += "/" + node_name_;
  }
  KEELSON_CO_TRY(const auto answer, co_await call_(std::move(request), agent::kApiDeadline));
  co_return Result<>();
}

Task<> CsiNodeObject::put_once(kube::CsiNodeDriver driver) {
  KEELSON_CO_TRY(auto known, co_await read());
  const bool is_new = !known;
  kube::CsiNode node = std::move(known).value_or(kube::CsiNode());
  if (is_new) {
    kube::Request request;
    request.path = "/api/v1/nodes/" + node_name_;
    KEELSON_CO_TRY(const auto text, co_await call_(std::move(request), agent::kApiDeadline));
    KEELSON_CO_TRY(const auto owner, kube::decode_full_node(text));
    node.metadata.name = node_name_;
    // It goes with the Node.
    node.metadata.owner_references = {{.api_version = "v1",
                                       .kind = "Node",
                                       .name = node_name_,
                                       .uid = owner.metadata.uid,
                                       .controller = {},
                                       .block_owner_deletion = {}}};
  }
  const auto own = std::ranges::find(node.drivers, driver.name, &kube::CsiNodeDriver::name);
  if (own == node.drivers.end()) {
    node.drivers.push_back(std::move(driver));
  } else if (*own == driver) {
    co_return Result<>();
  } else {
    *own = std::move(driver);
  }
  co_return co_await write(std::move(node), is_new);
}

Task<> CsiNodeObject::remove_once(std::string driver) {
  KEELSON_CO_TRY(auto node, co_await read());
  if (!node || std::erase_if(node->drivers, [&](const auto& known) { return known.name == driver; }) == 0) {
    co_return Result<>();
  }
  co_return co_await write(*std::move(node), false);
}

Task<> CsiNodeObject::label(kube::StringMap labels) {
  boost::json::object own;
  for (const auto& [key, value] : labels) {
    own[key] = value;
  }
  const boost::json::object patch{{"metadata", {{"labels", std::move(own)}}}};
  KEELSON_CO_TRY(const auto answer,
                 co_await call_(kube::patch_request("/api/v1/nodes/" + node_name_, kube::PatchType::strategic,
                                                    boost::json::serialize(patch)),
                                agent::kApiDeadline));
  co_return Result<>();
}

}  // namespace keelson::storage
