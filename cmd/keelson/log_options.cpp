// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/log_options.h"

#include "cmd/keelson/setting_values.h"
#include "kube/quantity.h"

namespace keelson::cli {

namespace {

constexpr Duration kShortestInterval = std::chrono::seconds(3);  // the kubelet's

}  // namespace

Result<agent::LogRotation> log_rotation(const NodeConfig& config) {
  agent::LogRotation rotation;
  KEELSON_TRY(const auto size, kube::Quantity::parse(config.container_log_max_size).context("containerLogMaxSize"));
  rotation.max_bytes = size.whole();
  KEELSON_TRY(const auto files, parse_count("containerLogMaxFiles", config.container_log_max_files, 2, 1 << 20));
  rotation.max_files = static_cast<int>(files);
  KEELSON_TRY(const auto workers, parse_count("containerLogMaxWorkers", config.container_log_max_workers, 1, 1 << 10));
  rotation.workers = static_cast<int>(workers);
  KEELSON_TRY(rotation.interval,
              parse_duration(config.container_log_monitor_interval).context("containerLogMonitorInterval"));
  if (rotation.interval < kShortestInterval) {
    return fail(Kind::invalid, "containerLogMonitorInterval: '{}' is less than 3s",
                config.container_log_monitor_interval);
  }
  return rotation;
}

}  // namespace keelson::cli
