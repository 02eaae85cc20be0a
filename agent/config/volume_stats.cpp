// SPDX-License-Identifier: Apache-2.0
#include "agent/config/volume_stats.h"

namespace keelson::agent {

std::string volume_plugin(const kube::Volume& volume) {
  const char* name = volume.host_path      ? "host-path"
                     : volume.empty_dir    ? "empty-dir"
                     : volume.config_map   ? "configmap"
                     : volume.secret       ? "secret"
                     : volume.downward_api ? "downward-api"
                     : volume.projected    ? "projected"
                     : volume.image        ? "image"
                     : volume.nfs          ? "nfs"
                                           : "";
  if (volume.csi) {
    return "kubernetes.io/csi:" + volume.csi->driver;
  }
  return *name == '\0' ? "" : std::string("kubernetes.io/") + name;
}

void VolumeStats::wanted(const std::string& uid, const std::string& volume, const std::string& plugin) {
  const std::lock_guard guard(mutex_);
  Volume& known = volumes_[{uid, volume}];
  known.plugin = plugin;
  known.wanted = true;
}

void VolumeStats::mounted(const std::string& uid, const std::string& volume) {
  const std::lock_guard guard(mutex_);
  if (const auto known = volumes_.find({uid, volume}); known != volumes_.end()) {
    known->second.mounted = true;
  }
}

void VolumeStats::unwanted(const std::string& uid) {
  const std::lock_guard guard(mutex_);
  for (auto& [key, volume] : volumes_) {
    volume.wanted = volume.wanted && key.first != uid;
  }
}

void VolumeStats::gone(const std::string& uid) {
  const std::lock_guard guard(mutex_);
  std::erase_if(volumes_, [&](const auto& entry) { return entry.first.first == uid; });
}

void VolumeStats::done(const std::string& plugin, const char* operation, Duration time, const Error* error) {
  if (error != nullptr && error->kind() == Kind::cancelled) {
    return;
  }
  const std::lock_guard guard(mutex_);
  operations_.observe({{"migrated", "false"},
                       {"operation_name", operation},
                       {"status", error == nullptr ? "success" : "fail-unknown"},
                       {"volume_plugin", plugin}},
                      time);
}

void VolumeStats::collect(Stats& stats) const {
  const std::lock_guard guard(mutex_);
  std::map<StatLabels, double> counts;
  for (const auto& [key, volume] : volumes_) {
    if (volume.wanted) {
      ++counts[{{"plugin_name", volume.plugin}, {"state", "desired_state_of_world"}}];
    }
    if (volume.mounted) {
      ++counts[{{"plugin_name", volume.plugin}, {"state", "actual_state_of_world"}}];
    }
  }
  for (const auto& [labels, count] : counts) {
    stats.gauge("volume_manager_total_volumes", "[ALPHA] Number of volumes in Volume Manager", count, labels);
  }
  operations_.collect(stats, "storage_operation_duration_seconds", "[ALPHA] Storage operation duration");
}

}  // namespace keelson::agent
