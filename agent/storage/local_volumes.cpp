// SPDX-License-Identifier: Apache-2.0
#include "agent/storage/local_volumes.h"

#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "agent/config/group_owner.h"
#include "agent/config/volume_mounts.h"
#include "agent/storage/loop_device.h"
#include "agent/storage/names.h"
#include "common/fd.h"
#include "common/log.h"

namespace keelson::storage {

namespace {

namespace fs = std::filesystem;

constexpr const char* kPlugin = "local-volume";
constexpr const char* kPluginName = "kubernetes.io/local-volume";
constexpr std::chrono::seconds kTurn{10};

/// Names in it; a folder that is not there has none.
Result<std::vector<std::string>> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error); !error && it != fs::directory_iterator(); it.increment(error)) {
    names.push_back(it->path().filename());
  }
  if (error && error.value() != ENOENT) {
    return fail_errno(error.value(), "list {}", folder);
  }
  return names;
}

std::string device_link(const std::string& root, const std::string& uid, const std::string& volume) {
  return fmt::format("{}/pods/{}/volumeDevices/kubernetes.io~{}/{}", root, uid, kPlugin, volume);
}

/// The word before the volume's name in an event, and the error.
std::unexpected<Error> told(const Error& error, const char* step, const std::string& volume) {
  return std::unexpected(Error(
      error.kind(), fmt::format("{} failed for volume \"{}\" : {}", step, volume, error.message()), error.code()));
}

Result<> unmount_path(const std::string& path, int flags) {
  KEELSON_TRY(const bool there, agent::is_mount_point(path));
  if (there && ::umount2(path.c_str(), flags | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT) {
    return fail_errno(errno, "unmount {}", path);
  }
  return {};
}

Result<> remove_path(const std::string& path) {
  std::error_code error;
  fs::remove(path, error);
  return error ? Result<>(fail_errno(error.value(), "remove {}", path)) : Result<>();
}

Result<> bind_mount(const std::string& source, const std::string& target, uint64_t flags) {
  if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND | flags, nullptr) < 0) {
    return fail_errno(errno, "bind {} to {}", source, target);
  }
  return {};
}

}  // namespace

std::string LocalVolumes::disk_mount(const std::string& volume) const {
  return fmt::format("{}/plugins/kubernetes.io/{}/mounts/{}", root_, kPlugin, volume);
}

std::string LocalVolumes::held_device(const std::string& volume, const std::string& uid) const {
  return fmt::format("{}/plugins/kubernetes.io~{}/volumeDevices/{}/{}", root_, kPlugin, volume, uid);
}

Result<std::unique_lock<std::timed_mutex>> LocalVolumes::take_turn(const std::string& volume) {
  std::timed_mutex* turn = nullptr;
  {
    const std::scoped_lock lock(mutex_);
    auto& own = turns_[volume];
    if (!own) {
      own = std::make_unique<std::timed_mutex>();
    }
    turn = own.get();
  }
  std::unique_lock lock(*turn, kTurn);
  if (!lock) {
    return fail(Kind::timeout, "earlier work on local volume \"{}\" has not ended", volume);
  }
  return lock;
}

// ---- There

Result<agent::MountedVolume> LocalVolumes::mount(const kube::Pod& pod, const BoundVolume& bound) {
  const auto& source = bound.volume.local->path;
  const bool block = bound.volume.volume_mode == kube::VolumeMode::block;
  const char* step = block ? "MapVolume.MapBlockVolume" : "MountVolume.SetUp";
  struct stat info{};
  if (::stat(source.c_str(), &info) < 0) {
    return told(fail_errno(errno, "path \"{}\"", source).error(), step, bound.name);
  }
  const bool disk = S_ISBLK(info.st_mode);
  if (!disk && (block || !S_ISDIR(info.st_mode))) {
    const auto trouble =
        block ? fail(Kind::invalid, "path \"{}\" is not a block device", source)
              : fail(Kind::invalid, "path \"{}\": only directory and block device are supported", source);
    return told(trouble.error(), step, bound.name);
  }
  auto turn = take_turn(bound.name);
  if (!turn) {
    return told(turn.error(), step, bound.name);
  }
  if (!block) {
    return mount_file_system(pod, bound, disk);
  }
  auto mapped = map_device(pod, bound);
  return mapped ? mapped : told(mapped.error(), step, bound.name);
}

Result<agent::MountedVolume> LocalVolumes::mount_file_system(const kube::Pod& pod, const BoundVolume& bound,
                                                             bool disk) {
  const auto target = volumes_dir(root_, pod.metadata.uid, kPlugin, bound.name);
  const agent::MountedVolume mounted{.path = target, .read_only = bound.read_only};
  const auto failed = [&](const Error& error, const char* step) { return told(error, step, bound.name); };
  auto there = agent::is_mount_point(target);
  if (!there || *there) {
    return there ? Result<agent::MountedVolume>(mounted) : failed(there.error(), "MountVolume.SetUp");
  }
  if (auto made = make_directories(target, 0750); !made) {
    return failed(made.error(), "MountVolume.SetUp");
  }
  auto source = bound.volume.local->path;
  if (disk) {
    const auto device = std::exchange(source, disk_mount(bound.name));
    auto mounts = agent::is_mount_point(source);
    auto done = mounts ? Result<>() : std::unexpected(mounts.error());
    if (mounts && !*mounts) {
      auto options = bound.volume.mount_options;
      if (bound.read_only) {
        options.emplace_back("ro");
      }
      done = make_directories(source, 0750);
      if (done) {
        done = format_and_mount(
            {.device = device, .target = source, .fs_type = bound.volume.local->fs_type, .options = options}, run_);
      }
    }
    if (!done) {
      static_cast<void>(remove_path(source));  // it is empty, or stays
      const auto text = fmt::format("local: failed to mount device {} at {} (fstype: {}), error {}", device, source,
                                    bound.volume.local->fs_type.empty() ? "ext4" : bound.volume.local->fs_type,
                                    done.error().message());
      return failed(Error(done.error().kind(), text, done.error().code()), "MountVolume.MountDevice");
    }
  }
  // Before it is there, and so once, and all of it.
  auto done = bound.read_only ? Result<>() : agent::give_to_group(source, pod.spec.security_context);
  if (done) {
    done = bind_mount(source, target, MS_REC);
  }
  return done ? Result<agent::MountedVolume>(mounted) : failed(done.error(), "MountVolume.SetUp");
}

Result<agent::MountedVolume> LocalVolumes::map_device(const kube::Pod& pod, const BoundVolume& bound) {
  const auto& device = bound.volume.local->path;
  const auto link = device_link(root_, pod.metadata.uid, bound.name);
  const auto held = held_device(bound.name, pod.metadata.uid);
  KEELSON_DO(make_directories(link.substr(0, link.rfind('/')), 0750));
  if (::symlink(device.c_str(), link.c_str()) < 0 && errno != EEXIST) {
    return fail_errno(errno, "link {} to {}", link, device);
  }
  KEELSON_TRY(const bool there, agent::is_mount_point(held));
  if (!there) {
    KEELSON_DO(make_directories(held.substr(0, held.rfind('/')), 0750));
    KEELSON_DO(open_file(held, O_WRONLY | O_CREAT, 0640));
    KEELSON_DO(bind_mount(device, held, 0));
  }
  KEELSON_DO(attach_loop(held));
  return agent::MountedVolume{.path = link, .read_only = bound.read_only, .block = true};
}

Result<> LocalVolumes::grow(const std::string& uid, const BoundVolume& bound) {
  const auto& source = bound.volume.local->path;
  struct stat info{};
  if (bound.volume.volume_mode == kube::VolumeMode::block) {
    return {};
  }
  if (::stat(source.c_str(), &info) < 0) {
    return fail_errno(errno, "path \"{}\"", source);
  }
  if (S_ISDIR(info.st_mode)) {
    return {};
  }
  if (!S_ISBLK(info.st_mode)) {
    return fail(Kind::invalid, "only directory and block device are supported");
  }
  KEELSON_TRY(const auto turn, take_turn(bound.name));
  const auto target = volumes_dir(root_, uid, kPlugin, bound.name);
  KEELSON_TRY(const bool there, agent::is_mount_point(target));
  if (!there) {
    return fail(Kind::conflict, "{} is not mounted any more", target);
  }
  return grow_file_system(source, target, run_);
}

// ---- And back

Result<> LocalVolumes::unmount(const std::string& uid) {
  KEELSON_TRY(const auto mounted, names_in(volumes_dir(root_, uid, kPlugin)));
  for (const auto& volume : mounted) {
    auto turn = take_turn(volume);
    const auto work = [&] { return turn ? unmount_one(uid, volume) : std::unexpected(turn.error()); };
    auto done = stats_->timed(kPluginName, "volume_unmount", work);
    if (!done) {
      return told(done.error(), "UnmountVolume.TearDown", volume);
    }
  }
  KEELSON_TRY(const auto mapped,
              names_in(fmt::format("{}/pods/{}/volumeDevices/kubernetes.io~{}", root_, uid, kPlugin)));
  for (const auto& volume : mapped) {
    auto turn = take_turn(volume);
    const auto work = [&] { return turn ? unmap_device(uid, volume) : std::unexpected(turn.error()); };
    auto done = stats_->timed(kPluginName, "unmap_volume", work);
    if (!done) {
      return told(done.error(), "UnmapVolume.UnmapBlockVolume", volume);
    }
  }
  return {};
}

Result<> LocalVolumes::unmount_one(const std::string& uid, const std::string& volume) {
  const auto target = volumes_dir(root_, uid, kPlugin, volume);
  KEELSON_DO(unmount_path(target, MNT_DETACH));
  KEELSON_TRY(const bool shared, has_other_users(uid, volume));
  if (!shared) {
    KEELSON_DO(unmount_disk(volume));
  }
  return remove_path(target);
}

Result<> LocalVolumes::unmount_disk(const std::string& volume) {
  const auto path = disk_mount(volume);
  KEELSON_DO(unmount_path(path, 0));
  return remove_path(path);
}

Result<> LocalVolumes::unmap_device(const std::string& uid, const std::string& volume) {
  const auto held = held_device(volume, uid);
  KEELSON_DO(detach_loops(held));
  KEELSON_DO(unmount_path(held, 0));
  KEELSON_DO(remove_path(held));
  ::rmdir(held.substr(0, held.rfind('/')).c_str());  // the last one takes it away
  return remove_path(device_link(root_, uid, volume));
}

Result<bool> LocalVolumes::has_other_users(const std::string& uid, const std::string& volume) const {
  KEELSON_TRY(const auto pods, names_in(root_ + "/pods"));
  return std::ranges::any_of(pods, [&](const std::string& other) {
    return other != uid && ::access(volumes_dir(root_, other, kPlugin, volume).c_str(), F_OK) == 0;
  });
}

Result<> LocalVolumes::tidy() {
  KEELSON_TRY(const auto mounted, names_in(fmt::format("{}/plugins/kubernetes.io/{}/mounts", root_, kPlugin)));
  for (const auto& volume : mounted) {
    KEELSON_TRY(const auto turn, take_turn(volume));
    KEELSON_TRY(const bool used, has_other_users("", volume));
    if (!used) {
      log::info("local volume {} is mounted, and no pod has it: it is unmounted", volume);
      KEELSON_DO(unmount_disk(volume));
    }
  }
  const auto held = fmt::format("{}/plugins/kubernetes.io~{}/volumeDevices", root_, kPlugin);
  KEELSON_TRY(const auto mapped, names_in(held));
  for (const auto& volume : mapped) {
    KEELSON_TRY(const auto turn, take_turn(volume));
    KEELSON_TRY(const auto uids, names_in(held + "/" + volume));
    for (const auto& uid : uids) {
      struct stat ignored{};
      if (::lstat(device_link(root_, uid, volume).c_str(), &ignored) < 0 && errno == ENOENT) {
        log::info("local volume {} is held for pod {}, which is not there: it is let go", volume, uid);
        KEELSON_DO(unmap_device(uid, volume));
      }
    }
  }
  return {};
}

}  // namespace keelson::storage
