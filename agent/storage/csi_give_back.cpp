// SPDX-License-Identifier: Apache-2.0
// A volume's way back: unpublished, unstaged once no pod has it, and its records removed last.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "agent/storage/csi_mounting.h"
#include "common/fd.h"
#include "common/log.h"

namespace keelson::storage {

namespace {

/// Of an empty folder; a driver may have taken it away itself.
Result<> remove_folder(const std::string& path) {
  if (::rmdir(path.c_str()) < 0 && errno != ENOENT) {
    // A driver may have published a file: a device's.
    if (errno != ENOTDIR || ::unlink(path.c_str()) < 0) {
      return fail_errno(errno, "remove {}", path);
    }
  }
  return {};
}

}  // namespace

Task<> CsiVolumes::unmount(std::string uid) {
  const bool waited = std::erase_if(waiting_, [&](const auto& entry) { return entry.first.first == uid; }) > 0;
  KEELSON_CO_TRY(const auto records, pod_records(options_.root, uid));
  for (const auto& record : records) {
    const SteadyTime began = loop_.clock().steady();
    auto done = co_await unpublish(uid, record);
    options_.volume_stats->done("kubernetes.io/csi:" + record.driver, "volume_unmount", loop_.clock().steady() - began,
                                done ? nullptr : &done.error());
    if (!done) {
      Error error = std::move(done).error();
      co_return std::unexpected(
          Error(error.kind(),
                fmt::format("UnmountVolume.TearDown failed for volume \"{}\" : {}", record.name, error.message()),
                error.code()));
    }
  }
  if (waited || !records.empty()) {
    tell_in_use();
  }
  co_return Result<>();
}

/// The pod's record goes last: until then all of this is done again.
Task<> CsiVolumes::unpublish(std::string uid, CsiRecord record) {
  KEELSON_CO_TRY(auto driver, drivers_.find(record.driver));
  KEELSON_CO_TRY(const auto turn, co_await turns_.take(unique_name(record.driver, record.handle)));
  republished_.erase({uid, record.name});
  const auto folder = pod_folder(options_.root, uid, record);
  csi::v1::NodeUnpublishVolumeRequest request;
  request.set_volume_id(record.handle);
  request.set_target_path(folder + "/mount");
  KEELSON_CO_TRY(const auto answer,
                 co_await driver->client.ask(&CsiCalls::NodeUnpublishVolume, std::move(request), kCsiDeadline));
  KEELSON_CO_DO(remove_folder(folder + "/mount"));
  KEELSON_CO_TRY(const bool shared, has_other_users(uid, record));
  if (!shared) {
    const auto staged = read_record(device_dir(options_.root, record.driver, record.handle));
    if (staged) {
      KEELSON_CO_DO(co_await unstage(std::move(driver), record));
    } else if (staged.error().kind() != Kind::not_found) {
      co_return std::unexpected(staged.error());
    }
  }
  co_return remove_tree(folder);
}

Result<bool> CsiVolumes::has_other_users(const std::string& uid, const CsiRecord& record) const {
  KEELSON_TRY(const auto all, all_pod_records(options_.root));
  return std::ranges::any_of(all, [&](const PodRecord& other) {
    return other.uid != uid && other.record.driver == record.driver && other.record.handle == record.handle;
  });
}

/// Under the volume's turn.
Task<> CsiVolumes::unstage(std::shared_ptr<RegisteredDriver> driver, CsiRecord record) {
  const auto folder = device_dir(options_.root, record.driver, record.handle);
  staged_.erase(unique_name(record.driver, record.handle));
  csi::v1::NodeUnstageVolumeRequest request;
  request.set_volume_id(record.handle);
  request.set_staging_target_path(folder + "/globalmount");
  KEELSON_CO_TRY(const auto answer,
                 co_await driver->client.ask(&CsiCalls::NodeUnstageVolume, std::move(request), kCsiDeadline));
  KEELSON_CO_DO(remove_folder(folder + "/globalmount"));
  co_return remove_tree(folder);
}

Task<> CsiVolumes::tidy(std::string name) {
  KEELSON_CO_TRY(const auto driver, drivers_.find(name));
  KEELSON_CO_TRY(const auto staged, device_records(options_.root));
  for (const auto& record : staged) {
    if (record.driver != name) {
      continue;
    }
    KEELSON_CO_TRY(const auto turn, co_await turns_.take(unique_name(record.driver, record.handle)));
    KEELSON_CO_TRY(const bool used, has_other_users("", record));
    if (used) {
      continue;
    }
    log::info("volume {} of CSI driver {} is staged, and no pod has it: it is unstaged", record.name, name);
    auto done = co_await unstage(driver, record);
    if (!done && done.error().kind() == Kind::cancelled) {
      co_return done;
    }
    if (!done) {
      log::warning("volume {} of CSI driver {}: {}", record.name, name, done.error().message());
    }
  }
  tell_in_use();
  co_return Result<>();
}

}  // namespace keelson::storage
