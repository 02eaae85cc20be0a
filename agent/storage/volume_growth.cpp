// SPDX-License-Identifier: Apache-2.0
#include "agent/storage/volume_growth.h"

#include <fmt/format.h>

#include "common/log.h"
#include "kube/client/api.h"

namespace keelson::storage {

namespace {

constexpr std::chrono::minutes kLook{1};  // the kubelet's syncFrequency

/// The kubelet grows no others.
bool can_grow(const HeldVolume& volume) {
  const auto& source = volume.bound.volume;
  return source.claim && (source.csi || source.local);
}

std::string claim_path(const std::string& ns, const std::string& name) {
  return agent::object_path(ns, "persistentvolumeclaims", name);
}

}  // namespace

VolumeGrowth::VolumeGrowth(Loop& loop, agent::ApiCall call, const HeldVolumes& held, VolumeGrowthOptions options)
    : loop_(loop), call_(std::move(call)), held_(held), options_(std::move(options)), turns_(loop), tasks_(loop) {}

void VolumeGrowth::tell(const HeldVolume& volume, agent::EventType type, const char* reason,
                        const std::string& message) const {
  const auto& claim = *volume.bound.volume.claim;
  options_.record(reference_to("Pod", volume.pod.ns, volume.pod.name, volume.pod.uid), type, reason, message);
  options_.record(reference_to("PersistentVolumeClaim", claim.ns, claim.name, claim.uid), type, reason, message);
}

Task<kube::PersistentVolumeClaim> VolumeGrowth::read_claim(SharedHeldVolume volume) {
  const auto& wanted = *volume->bound.volume.claim;
  kube::Request request;
  request.path = claim_path(wanted.ns, wanted.name);
  KEELSON_CO_TRY(const auto text, co_await agent::call_of_pod(loop_, call_, std::move(request)));
  KEELSON_CO_TRY(auto claim, kube::decode_persistent_volume_claim(text));
  if (claim.metadata.uid != wanted.uid) {
    co_return fail(Kind::not_found, "PVC {}/{} is another one now", wanted.ns, wanted.name);
  }
  co_return claim;
}

/// The claim as it is afterwards.
Task<kube::PersistentVolumeClaim> VolumeGrowth::patch(kube::PersistentVolumeClaim claim, std::string body) {
  const auto path = claim_path(claim.metadata.ns, claim.metadata.name) + "/status";
  auto text =
      co_await call_(kube::patch_request(path, kube::PatchType::strategic, std::move(body)), agent::kApiDeadline);
  if (!text) {
    co_return std::unexpected(std::move(text).error().with_context(
        fmt::format("patchPVCStatus failed to patch PVC \"{}\"", claim.metadata.name)));
  }
  co_return kube::decode_persistent_volume_claim(*text);
}

/// Whether the volume has its size now, as far as this node is concerned.
Task<bool> VolumeGrowth::expand(SharedHeldVolume volume, kube::PersistentVolumeClaim claim,
                                kube::Quantity volume_size) {
  const auto& name = volume->bound.name;
  const auto growth = growth_of(claim, volume_size);
  if (!growth.wanted) {
    if (growth.recorded) {
      sizes_[name] = volume_size;
    }
    co_return growth.recorded;
  }
  if (growth.told && !growth.recorded) {
    KEELSON_CO_TRY(claim, co_await patch(claim, growing_patch(claim)));
  }
  KEELSON_CO_TRY(auto how, co_await options_.grow(volume, growth.size.whole()));
  if (how.end != Growing::End::done) {
    co_return co_await not_grown(volume, std::move(claim), growth, std::move(how));
  }
  log::info("volume {} of PVC {}/{} has grown to {}", name, claim.metadata.ns, claim.metadata.name,
            growth.size.to_string());
  tell(*volume, agent::EventType::normal, "FileSystemResizeSuccessful",
       fmt::format("MountVolume.NodeExpandVolume succeeded for volume \"{}\" {}", name, options_.node_name));
  if (!growth.recorded) {
    auto told = co_await patch(claim, grown_patch(claim, growth.size));
    if (!told) {
      co_return std::unexpected(
          std::move(told).error().with_context("mountVolume.NodeExpandVolume update pvc status failed"));
    }
  }
  failed_.erase(name);
  sizes_[name] = growth.size;
  co_return true;
}

/// What fails for good is the controller's to mend, and stands in the claim.
Task<bool> VolumeGrowth::not_grown(SharedHeldVolume volume, kube::PersistentVolumeClaim claim, ClaimGrowth growth,
                                   Growing how) {
  using End = Growing::End;
  const auto& name = volume->bound.name;
  if (how.end == End::unsupported && (!growth.told || growth.recorded)) {
    sizes_[name] = growth.size;
    co_return true;
  }
  if (growth.told && how.end != End::unknown) {
    const bool again = !failed_.insert(name).second;
    const bool infeasible = how.end == End::infeasible || (again && storage_in(claim.requests) != growth.size);
    if (auto body = not_grown_patch(claim, infeasible, how.why, loop_.clock().wall()); !body.empty()) {
      auto told = co_await patch(claim, std::move(body));
      if (!told) {
        log::warning("volume {}: {}", name, told.error().message());
      }
    }
  }
  if (how.end == End::in_use) {
    in_use_.insert(name);
    log::warning("volume {} cannot grow while it is in use: {}", name, how.why);
    co_return !growth.told;
  }
  co_return fail(Kind::internal, "{}", how.why);
}

Task<> VolumeGrowth::at_mount(SharedHeldVolume volume) {
  const auto& bound = volume->bound;
  const auto size = storage_in(bound.volume.capacity);
  if (!can_grow(*volume)) {
    co_return Result<>();
  }
  sizes_.try_emplace(bound.name, bound.claim_capacity);
  if (bound.claim_capacity >= size) {
    co_return Result<>();
  }
  KEELSON_CO_TRY(const auto turn, co_await turns_.take(bound.name));
  const auto failed = [&](const Error& error) {
    const auto* step = bound.volume.volume_mode == kube::VolumeMode::block ? "MapVolume.MarkVolumeAsMounted failed"
                                                                           : "MountVolume.Setup failed";
    return std::unexpected(
        Error(error.kind(),
              fmt::format("{} while expanding volume for volume \"{}\" : {}", step, bound.name, error.message()),
              error.code()));
  };
  auto claim = co_await read_claim(volume);
  if (!claim) {
    co_return failed(std::move(claim).error().with_context("mountVolume.NodeExpandVolume get PVC failed"));
  }
  if (storage_in(claim->capacity) >= size) {
    co_return Result<>();
  }
  if (bound.read_only) {
    tell(*volume, agent::EventType::warning, "FileSystemResizeFailed",
         fmt::format("MountVolume.NodeExpandVolume failed for volume \"{}\" requested read-only file system",
                     bound.name));
    co_return Result<>();
  }
  auto done = co_await expand(volume, *std::move(claim), size);
  co_return done ? Result<>() : failed(done.error());
}

/// Once, of a volume of pods that run. What is not read is read the next time.
Task<> VolumeGrowth::look(SharedHeldVolume volume) {
  const auto name = volume->bound.name;
  KEELSON_CO_TRY(const auto turn, co_await turns_.take(name));
  KEELSON_CO_TRY(auto claim, co_await read_claim(volume));
  kube::Request request;
  request.path = "/api/v1/persistentvolumes/" + name;
  KEELSON_CO_TRY(const auto text, co_await agent::call_of_pod(loop_, call_, std::move(request)));
  KEELSON_CO_TRY(const auto now, kube::decode_persistent_volume(text));
  const auto size = storage_in(now.capacity);
  const auto known = sizes_.try_emplace(name, storage_in(claim.capacity)).first->second;
  if (size <= known || !held_.contains({volume->pod.uid, volume->name})) {
    co_return Result<>();
  }
  auto done = co_await expand(volume, std::move(claim), size);
  if (done || done.error().kind() == Kind::cancelled) {
    co_return done ? Result<>() : std::unexpected(std::move(done).error());
  }
  options_.record(
      reference_to("Pod", volume->pod.ns, volume->pod.name, volume->pod.uid), agent::EventType::warning,
      "VolumeResizeFailed",
      fmt::format("NodeExpandVolume.NodeExpandVolume failed for volume \"{}\" : {}", name, done.error().message()));
  co_return Result<>();
}

Task<> VolumeGrowth::run() {
  while (true) {
    KEELSON_CO_DO(co_await loop_.sleep(kLook));
    for (const auto& [key, volume] : held_) {
      const auto& name = volume->bound.name;
      if (!can_grow(*volume) || volume->bound.read_only || in_use_.contains(name) || !looked_at_.insert(name).second) {
        continue;
      }
      tasks_.spawn("growth of volume " + name, [](VolumeGrowth* self, SharedHeldVolume one) -> Task<> {
        auto done = co_await self->look(one);
        self->looked_at_.erase(one->bound.name);
        co_return done;
      }(this, volume));
    }
  }
}

void VolumeGrowth::forget_unheld() {
  std::set<std::string> names;
  for (const auto& [key, volume] : held_) {
    names.insert(volume->bound.name);
  }
  std::erase_if(sizes_, [&](const auto& entry) { return !names.contains(entry.first); });
  std::erase_if(in_use_, [&](const auto& name) { return !names.contains(name); });
  std::erase_if(failed_, [&](const auto& name) { return !names.contains(name); });
}

}  // namespace keelson::storage
