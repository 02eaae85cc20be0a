// SPDX-License-Identifier: Apache-2.0
#include "agent/node/lease_renewer.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/log.h"
#include "kube/full_node.h"

namespace keelson::agent {

namespace {

constexpr const char* kLeases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
constexpr std::chrono::milliseconds kFirstWait{200};
constexpr std::chrono::seconds kLongestWait{5};

bool no_answer(const Error& error) {
  return error.kind() == Kind::timeout || error.kind() == Kind::unavailable;
}

kube::OwnerReference owner(const std::string& node, std::string uid) {
  return {.api_version = "v1",
          .kind = "Node",
          .name = node,
          .uid = std::move(uid),
          .controller = {},
          .block_owner_deletion = {}};
}

}  // namespace

LeaseRenewer::LeaseRenewer(Loop& loop, NodeApi& api, LeaseOptions options)
    : loop_(loop), api_(api), options_(std::move(options)), random_(options_.seed) {}

Task<> LeaseRenewer::run() {
  while (true) {
    KEELSON_CO_DO(co_await renew());
    KEELSON_CO_DO(co_await loop_.sleep(stretched(Duration(options_.duration) / 4)));
  }
}

/// Not the same moment for all nodes: up to 4 % longer, as the kubelet.
Duration LeaseRenewer::stretched(Duration wait) {
  random_ = random_ * 6364136223846793005U + 1442695040888963407U;  // Knuth's MMIX
  return wait + wait * static_cast<Duration::rep>(random_ >> 54) / 1024 / 25;
}

Task<> LeaseRenewer::renew() {
  while (true) {
    auto done = co_await try_renew();
    if (done) {
      if (failures_ > 0) {
        log::info("the node's Lease is renewed again, after {} failures", failures_);
      }
      failures_ = 0;
      renewed_ = loop_.clock().wall();
      co_return Result<>();
    }
    const Error error = std::move(done).error();
    if (error.kind() == Kind::cancelled) {
      co_return std::unexpected(error);
    }
    if (no_answer(error)) {
      api_.drop_connection();
    } else if (error.kind() == Kind::conflict || error.kind() == Kind::not_found || error.kind() == Kind::exists) {
      lease_.reset();
    }
    // The first time at once: a new connection, or a newer version, mostly helps.
    const Duration wait =
        failures_ == 0 ? Duration(0)
                       : stretched(std::min<Duration>(kFirstWait * (1 << std::min(failures_ - 1, 10)), kLongestWait));
    tell(error, wait);
    ++failures_;
    KEELSON_CO_DO(co_await loop_.sleep(wait));
  }
}

void LeaseRenewer::tell(const Error& error, Duration wait) {
  // Each of a long row of failures would say the same; and a Node that registers is there a little later.
  const int first = error.kind() == Kind::not_found ? 5 : 1;
  if (failures_ == first || (failures_ > 0 && failures_ % 20 == 0)) {
    log::warning("renew the node's Lease: {}; trying again in {} ms", error.message(),
                 wait / std::chrono::milliseconds(1));
  }
}

Task<std::string> LeaseRenewer::ask(kube::Request request) {
  return api_.call(std::move(request), options_.answer);
}

Task<> LeaseRenewer::try_renew() {
  if (!lease_) {
    KEELSON_CO_TRY(const bool fresh, co_await learn());
    if (fresh) {
      co_return Result<>();
    }
  }
  kube::Lease wanted = *lease_;
  if (wanted.metadata.owner_references.empty()) {
    if (auto uid = co_await node_uid(); uid) {
      wanted.metadata.owner_references.push_back(owner(options_.node, *std::move(uid)));
    } else if (uid.error().kind() == Kind::cancelled) {
      co_return std::unexpected(std::move(uid).error());
    }
  }
  wanted.holder_identity = options_.node;
  wanted.lease_duration_seconds = static_cast<int32_t>(options_.duration.count());
  wanted.renew_time = loop_.clock().wall();
  KEELSON_CO_TRY(const auto answer, co_await ask({.method = "PUT",
                                                  .path = fmt::format("{}/{}", kLeases, options_.node),
                                                  .body = encode_json(wanted)}));
  KEELSON_CO_TRY(lease_, kube::decode_lease(answer));
  co_return Result<>();
}

Task<bool> LeaseRenewer::learn() {
  auto found = co_await ask({.path = fmt::format("{}/{}", kLeases, options_.node)});
  if (found) {
    KEELSON_CO_TRY(lease_, kube::decode_lease(*found));
    co_return false;
  }
  if (found.error().kind() != Kind::not_found) {
    co_return std::unexpected(std::move(found).error());
  }
  KEELSON_CO_DO(co_await create());
  co_return true;
}

Task<> LeaseRenewer::create() {
  // Without an owner it would outlive a Node that is deleted.
  auto uid = co_await node_uid();
  if (!uid) {
    co_return std::unexpected(std::move(uid).error());
  }
  kube::Lease lease;
  lease.metadata.name = options_.node;
  lease.metadata.ns = "kube-node-lease";
  lease.metadata.owner_references.push_back(owner(options_.node, *std::move(uid)));
  lease.holder_identity = options_.node;
  lease.lease_duration_seconds = static_cast<int32_t>(options_.duration.count());
  lease.renew_time = loop_.clock().wall();
  KEELSON_CO_TRY(const auto made, co_await ask({.method = "POST", .path = kLeases, .body = encode_json(lease)}));
  KEELSON_CO_TRY(lease_, kube::decode_lease(made));
  co_return Result<>();
}

Task<std::string> LeaseRenewer::node_uid() {
  auto text = co_await ask({.path = fmt::format("/api/v1/nodes/{}", options_.node)});
  if (!text) {
    co_return std::unexpected(std::move(text).error().with_context("its owner"));
  }
  KEELSON_CO_TRY(auto node, kube::decode_full_node(*text));
  co_return std::move(node.metadata.uid);
}

}  // namespace keelson::agent
