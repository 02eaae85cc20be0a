// SPDX-License-Identifier: Apache-2.0
#include "agent/claim_usage.h"

#include <pthread.h>

#include <mutex>
#include <set>
#include <thread>

#include "metrics/node_reader.h"

namespace keelson::agent {

namespace {

constexpr std::chrono::minutes kAge{1};

}  // namespace

struct ClaimUsage::Board {
  std::mutex mutex;
  bool busy = false;
  std::map<std::string, std::optional<Told>> told;  // none: not yet
};

ClaimUsage::ClaimUsage(const Clock& clock) : clock_(clock), board_(std::make_shared<Board>()) {}

void ClaimUsage::look(std::vector<std::string> paths) {
  const std::set<std::string> wanted(paths.begin(), paths.end());
  const std::lock_guard lock(board_->mutex);
  std::erase_if(board_->told, [&](const auto& entry) { return !wanted.contains(entry.first); });
  const bool all_known = board_->told.size() == wanted.size();
  const auto now = clock_.steady();
  if (board_->busy || wanted.empty() || (all_known && now - looked_at_ < kAge)) {
    return;
  }
  for (const auto& path : wanted) {
    board_->told.try_emplace(path);
  }
  looked_at_ = now;
  board_->busy = true;
  // Detached, for it may never end; it owns all that it touches.
  std::thread([board = board_, wanted, at = clock_.wall()] {
    ::pthread_setname_np(::pthread_self(), "kl-claims");
    for (const auto& path : wanted) {
      const Told told{.at = at, .disk = metrics::disk_of(path)};
      const std::lock_guard guard(board->mutex);
      if (const auto entry = board->told.find(path); entry != board->told.end() && told.disk.capacity > 0) {
        entry->second = told;
      }
    }
    const std::lock_guard guard(board->mutex);
    board->busy = false;
  }).detach();
}

std::optional<ClaimUsage::Told> ClaimUsage::find(const std::string& path) const {
  const std::lock_guard lock(board_->mutex);
  const auto found = board_->told.find(path);
  return found != board_->told.end() ? found->second : std::nullopt;
}

void collect_claims(const std::vector<metrics::PodUse>& uses, Stats& stats) {
  std::set<std::pair<std::string, std::string>> done;
  for (const auto& pod : uses) {
    for (const auto& volume : pod.volumes) {
      const auto& claim = volume.place.claim;
      if (claim.empty() || !done.emplace(pod.place.ns, claim).second) {
        continue;
      }
      const auto tell = [&](const char* name, const char* help, uint64_t value) {
        stats.gauge(name, help, static_cast<double>(value),
                    {{"namespace", pod.place.ns}, {"persistentvolumeclaim", claim}});
      };
      const auto& disk = volume.disk;
      tell("kubelet_volume_stats_capacity_bytes", "[ALPHA] Capacity in bytes of the volume", disk.capacity);
      tell("kubelet_volume_stats_available_bytes", "[ALPHA] Number of available bytes in the volume", disk.available);
      tell("kubelet_volume_stats_used_bytes", "[ALPHA] Number of used bytes in the volume", disk.used);
      tell("kubelet_volume_stats_inodes", "[ALPHA] Maximum number of inodes in the volume", disk.inodes);
      tell("kubelet_volume_stats_inodes_free", "[ALPHA] Number of free inodes in the volume", disk.inodes_free);
      tell("kubelet_volume_stats_inodes_used", "[ALPHA] Number of used inodes in the volume", disk.inodes_used);
      if (volume.abnormal) {
        tell(
            "kubelet_volume_stats_health_status_abnormal",
            "[ALPHA] Abnormal volume health status. The count is either 1 or 0. 1 indicates the volume is unhealthy, 0 "
            "indicates volume is healthy",
            *volume.abnormal ? 1 : 0);
      }
    }
  }
}

}  // namespace keelson::agent
