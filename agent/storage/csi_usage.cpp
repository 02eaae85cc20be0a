// SPDX-License-Identifier: Apache-2.0
#include "agent/storage/csi_usage.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/storage/names.h"
#include "common/log.h"

namespace keelson::storage {

namespace {

using RpcType = csi::v1::NodeServiceCapability::RPC;

constexpr std::chrono::minutes kAge{1};

uint64_t amount(int64_t number) {
  return static_cast<uint64_t>(std::max<int64_t>(number, 0));
}

void add(const csi::v1::VolumeUsage& usage, metrics::DiskUse& disk) {
  if (usage.unit() == csi::v1::VolumeUsage::BYTES) {
    disk.capacity = amount(usage.total());
    disk.available = amount(usage.available());
    disk.used = amount(usage.used());
  } else if (usage.unit() == csi::v1::VolumeUsage::INODES) {
    disk.inodes = amount(usage.total());
    disk.inodes_free = amount(usage.available());
    disk.inodes_used = amount(usage.used());
  }
}

}  // namespace

CsiUsage::CsiUsage(Loop& loop, const CsiDrivers& drivers, const HeldVolumes& held, CsiUsageOptions options)
    : loop_(loop), drivers_(drivers), held_(held), options_(std::move(options)), tasks_(loop) {}

std::shared_ptr<RegisteredDriver> CsiUsage::teller_of(const HeldVolume& volume) const {
  if (!volume.bound.volume.csi) {
    return nullptr;
  }
  auto driver = drivers_.find(volume.bound.volume.csi->driver);
  return driver && (*driver)->can(RpcType::GET_VOLUME_STATS) ? *std::move(driver) : nullptr;
}

void CsiUsage::ask(SharedHeldVolume volume) {
  Key key(volume->pod.uid, volume->name);
  auto driver = teller_of(*volume);
  if (driver && asked_.insert(key).second) {
    tasks_.spawn("use of volume " + volume->bound.name, ask_once(std::move(key), std::move(volume), std::move(driver)));
  }
}

Task<> CsiUsage::ask_once(Key key, SharedHeldVolume volume, std::shared_ptr<RegisteredDriver> driver) {
  const auto& bound = volume->bound;
  csi::v1::NodeGetVolumeStatsRequest request;
  request.set_volume_id(bound.volume.csi->volume_handle);
  request.set_volume_path(volumes_dir(options_.root, volume->pod.uid, "csi", bound.name) + "/mount");
  auto answer = co_await driver->client.ask(&CsiCalls::NodeGetVolumeStats, std::move(request), kCsiDeadline);
  asked_.erase(key);
  if (!answer) {
    log::debug("volume {} of pod {}: {}", bound.name, kube::full_name(volume->pod), answer.error().message());
  } else if (const auto held = held_.find(key); held != held_.end() && held->second->bound.name == bound.name) {
    take(key, *volume, *driver, *answer);
  }
  co_return Result<>();
}

void CsiUsage::take(const Key& key, const HeldVolume& volume, const RegisteredDriver& driver,
                    const csi::v1::NodeGetVolumeStatsResponse& answer) {
  const bool health = options_.health && driver.can(RpcType::VOLUME_CONDITION);
  if (answer.usage().empty() && !health) {
    log::debug("volume {}: its driver tells of no use", volume.bound.name);
    return;
  }
  agent::ToldUse use{.at = loop_.clock().wall(), .disk = {}, .abnormal = {}};
  for (const auto& usage : answer.usage()) {
    add(usage, use.disk);
  }
  if (health) {
    use.abnormal = answer.volume_condition().abnormal();
  }
  told_[key] = use;
  if (use.abnormal.value_or(false)) {
    options_.record(reference_to("Pod", volume.pod.ns, volume.pod.name, volume.pod.uid), agent::EventType::warning,
                    "VolumeConditionAbnormal",
                    fmt::format("Volume {}: {}", volume.name, answer.volume_condition().message()));
  }
}

Task<> CsiUsage::run() {
  while (true) {
    for (const auto& [key, volume] : HeldVolumes(held_)) {
      ask(volume);
    }
    KEELSON_CO_DO(co_await loop_.sleep(kAge));
  }
}

void CsiUsage::forget_unheld() {
  std::erase_if(told_, [this](const auto& entry) { return !held_.contains(entry.first); });
}

void CsiUsage::tell(const HeldVolume& volume, agent::MountedVolume& mounted) const {
  if (const auto known = told_.find({volume.pod.uid, volume.name}); known != told_.end()) {
    mounted.use = known->second;
  }
  mounted.told = mounted.use || teller_of(volume);
}

}  // namespace keelson::storage
