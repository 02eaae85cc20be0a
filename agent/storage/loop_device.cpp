// SPDX-License-Identifier: Apache-2.0
#include "agent/storage/loop_device.h"

#include <fmt/format.h>
#include <linux/loop.h>
#include <sys/ioctl.h>

#include <filesystem>
#include <vector>

#include "common/fd.h"

namespace keelson::storage {

namespace {

namespace fs = std::filesystem;

constexpr int kTries = 32;  // others may take the number that was free

/// Paths of the devices that are attached to it.
std::vector<std::string> loops_of(const std::string& path) {
  std::vector<std::string> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/sys/block", ignored)) {
    const auto name = entry.path().filename().string();
    if (name.starts_with("loop") && read_file(entry.path() / "loop/backing_file").value_or("") == path + "\n") {
      found.push_back("/dev/" + name);
    }
  }
  return found;
}

}  // namespace

Result<std::string> attach_loop(const std::string& path) {
  if (auto there = loops_of(path); !there.empty()) {
    return there.front();
  }
  KEELSON_TRY(const auto file, open_file(path, O_RDWR));
  KEELSON_TRY(const auto control, open_file("/dev/loop-control", O_RDWR));
  for (int i = 0; i < kTries; ++i) {
    const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) {
      return fail_errno(errno, "find a free loop device");
    }
    auto device = fmt::format("/dev/loop{}", number);
    KEELSON_TRY(const auto loop, open_file(device, O_RDWR));
    if (::ioctl(loop.get(), LOOP_SET_FD, file.get()) == 0) {
      return device;
    }
    if (errno != EBUSY) {
      return fail_errno(errno, "attach {} to {}", device, path);
    }
  }
  return fail(Kind::exhausted, "no loop device is free for {}", path);
}

Result<> detach_loops(const std::string& path) {
  for (const auto& device : loops_of(path)) {
    KEELSON_TRY(const auto loop, open_file(device, O_RDONLY));
    if (::ioctl(loop.get(), LOOP_CLR_FD, 0) < 0 && errno != ENXIO) {
      return fail_errno(errno, "detach {} from {}", device, path);
    }
  }
  return {};
}

}  // namespace keelson::storage
