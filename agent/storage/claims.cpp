// SPDX-License-Identifier: Apache-2.0
#include "agent/storage/claims.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/config/pod_storage.h"
#include "agent/storage/claim_growth.h"
#include "agent/storage/names.h"

namespace keelson::storage {

namespace {

Task<std::string> get(Loop& loop, agent::ApiCall call, std::string path) {
  kube::Request request;
  request.path = std::move(path);
  co_return co_await agent::call_of_pod(loop, std::move(call), std::move(request));
}

bool owns(const kube::Pod& pod, const kube::PersistentVolumeClaim& claim) {
  return std::ranges::any_of(claim.metadata.owner_references, [&](const kube::OwnerReference& owner) {
    return owner.uid == pod.metadata.uid && owner.controller.value_or(false);
  });
}

/// A claim that can be used, and by this pod.
Task<kube::PersistentVolumeClaim> usable_claim(Loop& loop, agent::ApiCall call, kube::Pod pod, std::string name,
                                               bool own) {
  auto text = co_await get(loop, std::move(call), agent::object_path(pod.metadata.ns, "persistentvolumeclaims", name));
  if (!text) {
    co_return std::unexpected(std::move(text).error().with_context("failed to fetch PVC from API server"));
  }
  KEELSON_CO_TRY(auto claim, kube::decode_persistent_volume_claim(*text));
  if (own && !owns(pod, claim)) {
    co_return fail(Kind::conflict, "PVC {} was not created for pod {} (pod is not owner)", name, pod.metadata.name);
  }
  if (claim.metadata.deletion_timestamp) {
    co_return fail(Kind::conflict, "PVC is being deleted");
  }
  if (claim.phase != "Bound" || claim.volume_name.empty()) {
    co_return fail(Kind::conflict, "PVC is not bound");
  }
  co_return claim;
}

Task<kube::PersistentVolume> volume_of(Loop& loop, agent::ApiCall call, kube::PersistentVolumeClaim claim) {
  const auto& name = claim.volume_name;
  auto text = co_await get(loop, std::move(call), "/api/v1/persistentvolumes/" + name);
  if (!text) {
    co_return std::unexpected(
        std::move(text).error().with_context(fmt::format("failed to fetch PersistentVolume {}", name)));
  }
  KEELSON_CO_TRY(auto volume, kube::decode_persistent_volume(*text));
  if (!volume.claim || volume.claim->uid != claim.metadata.uid) {
    co_return fail(Kind::conflict, "PV {} is not bound to this claim", name);
  }
  if (!volume.unsupported.empty()) {
    co_return fail(Kind::unsupported, "PV {} is of type {}, which this node does not support", name,
                   volume.unsupported);
  }
  co_return volume;
}

BoundVolume unclaimed(const kube::Pod& pod, const kube::Volume& volume) {
  BoundVolume found{.name = volume.name, .volume = {}};
  if (volume.nfs) {
    found.volume.nfs = volume.nfs;
    found.read_only = volume.nfs->read_only;
    return found;
  }
  const kube::CsiVolume& from = *volume.csi;
  found.ephemeral = true;
  found.read_only = from.read_only;
  found.volume.access_modes = {kube::AccessMode::read_write_once};
  auto& csi = found.volume.csi.emplace();
  csi.driver = from.driver;
  csi.volume_handle = inline_handle(pod.metadata.uid, volume.name);
  csi.fs_type = from.fs_type;
  csi.volume_attributes = from.attributes;
  if (!from.node_publish_secret.empty()) {
    csi.node_publish_secret = kube::SecretReference{from.node_publish_secret, pod.metadata.ns};
  }
  return found;
}

}  // namespace

Task<BoundVolume> bound_volume(Loop& loop, agent::ApiCall call, kube::Pod pod, kube::Volume volume) {
  const std::string name = agent::claim_of(pod, volume);
  if (name.empty()) {
    co_return unclaimed(pod, volume);
  }
  const auto what = fmt::format("error processing PVC {}/{}", pod.metadata.ns, name);
  auto claim = co_await usable_claim(loop, call, pod, name, volume.ephemeral.has_value());
  if (!claim) {
    co_return std::unexpected(std::move(claim).error().with_context(what));
  }
  auto found = co_await volume_of(loop, std::move(call), *claim);
  if (!found) {
    co_return std::unexpected(std::move(found).error().with_context(what));
  }
  BoundVolume bound{.name = found->metadata.name, .volume = *std::move(found)};
  bound.volume.volume_mode = claim->volume_mode;
  bound.claim_capacity = storage_in(claim->capacity);
  const auto& csi = bound.volume.csi;
  const auto& nfs = bound.volume.nfs;
  bound.read_only = (volume.persistent_volume_claim && volume.persistent_volume_claim->read_only) ||
                    (csi && csi->read_only) || (nfs && nfs->read_only);
  co_return bound;
}

}  // namespace keelson::storage
