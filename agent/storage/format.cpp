// SPDX-License-Identifier: Apache-2.0
#include "agent/storage/format.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "common/log.h"

namespace keelson::storage {

namespace {

constexpr int kNothingFound = 2;     // blkid(8)
constexpr int kErrorsCorrected = 1;  // fsck(8), as what follows
constexpr int kErrorsLeft = 4;
constexpr std::chrono::minutes kLook{2};
constexpr std::chrono::hours kWrite{1};  // a large disk on a slow bus

Result<CommandOutput> call(const Runner& run, std::vector<std::string> args, std::chrono::milliseconds deadline) {
  return run(
      {.args = std::move(args), .env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, .input = {}, .deadline = deadline});
}

Result<> make_file_system(const DiskMount& wanted, const std::string& type, const Runner& run) {
  std::vector<std::string> args = {"/usr/sbin/mkfs." + type};
  if (type == "ext4" || type == "ext3") {
    args.insert(args.end(), {"-F", "-m0"});
  } else if (type == "xfs") {
    args.emplace_back("-f");
  }
  args.push_back(wanted.device);
  KEELSON_TRY(const auto made, call(run, args, kWrite));
  if (made.exit_code != 0) {
    return fail(Kind::internal,
                "format of disk \"{}\" failed: type:(\"{}\") target:(\"{}\") options:(\"{}\") errcode:(exit status "
                "{}) output:({}{}) ",
                wanted.device, type, wanted.target, fmt::join(wanted.options, ","), made.exit_code, made.out,
                made.error);
  }
  log::info("disk {} had nothing on it, and has a file system of type {} now", wanted.device, type);
  return {};
}

Result<> check(const std::string& device, const Runner& run) {
  const auto checked = call(run, {"/usr/sbin/fsck", "-a", device}, kWrite);
  if (!checked) {
    log::warning("fsck on device {}: {}; it is mounted as it is", device, checked.error().message());
    return {};
  }
  if (checked->exit_code == kErrorsLeft) {
    return fail(Kind::internal, "'fsck' found errors on device {} but could not correct them: {}{}", device,
                checked->out, checked->error);
  }
  if (checked->exit_code == kErrorsCorrected) {
    log::info("device {} has errors which were corrected by fsck", device);
  } else if (checked->exit_code != 0) {
    log::warning("fsck on device {}: exit status {}: {}{}", device, checked->exit_code, checked->out, checked->error);
  }
  return {};
}

/// What is on it; empty: nothing.
Result<std::string> look_at(const std::string& device, const Runner& run) {
  KEELSON_TRY(const auto found,
              call(run, {"/usr/sbin/blkid", "-p", "-s", "TYPE", "-s", "PTTYPE", "-o", "export", device}, kLook));
  return format_of(found);
}

}  // namespace

Result<std::string> format_of(const CommandOutput& blkid) {
  if (blkid.exit_code == kNothingFound) {
    return std::string();
  }
  if (blkid.exit_code != 0) {
    return fail(Kind::internal, "exit status {}: {}", blkid.exit_code, blkid.error);
  }
  std::string type;
  bool partitions = false;
  for (size_t at = 0; at < blkid.out.size();) {
    const auto end = std::min(blkid.out.find('\n', at), blkid.out.size());
    const std::string_view line(blkid.out.data() + at, end - at);
    if (line.starts_with("TYPE=")) {
      type = line.substr(5);
    }
    partitions = partitions || line.starts_with("PTTYPE=");
    at = end + 1;
  }
  return partitions ? "unknown data, probably partitions" : type;
}

Result<> format_and_mount(const DiskMount& wanted, const Runner& run) {
  const std::string type = wanted.fs_type.empty() ? "ext4" : wanted.fs_type;
  const bool read_only = std::ranges::find(wanted.options, "ro") != wanted.options.end();
  const auto format = look_at(wanted.device, run);
  if (!format) {
    return fail(format.error().kind(), "failed to get disk format of disk {}: {}", wanted.device,
                format.error().message());
  }
  if (format->empty() && read_only) {
    return fail(Kind::invalid, "cannot mount unformatted disk {} as we are manipulating it in read-only mode",
                wanted.device);
  }
  if (format->empty()) {
    KEELSON_DO(make_file_system(wanted, type, run));
  } else if (!read_only) {
    KEELSON_DO(check(wanted.device, run));
  }
  auto options = wanted.options;
  options.emplace_back("defaults");
  const std::vector<std::string> args = {
      "/usr/bin/mount", "-t", type, "-o", fmt::format("{}", fmt::join(options, ",")), wanted.device, wanted.target};
  KEELSON_TRY(const auto mounted, call(run, args, kLook));
  if (mounted.exit_code != 0) {
    return fail(Kind::internal,
                "mount failed: exit status {}\nMounting command: mount\nMounting arguments: {}\nOutput: {}",
                mounted.exit_code, fmt::join(args.begin() + 1, args.end(), " "), mounted.error);
  }
  return {};
}

Result<> grow_file_system(const std::string& device, const std::string& mount_path, const Runner& run) {
  const auto format = look_at(device, run);
  if (!format) {
    return fail(format.error().kind(), "ResizeFS.Resize - error checking format for device {}: {}", device,
                format.error().message());
  }
  if (format->empty()) {
    return {};
  }
  std::vector<std::string> args;
  if (*format == "ext3" || *format == "ext4") {
    args = {"/usr/sbin/resize2fs", device};
  } else if (*format == "xfs") {
    args = {"/usr/sbin/xfs_growfs", "-d", mount_path};
  } else if (*format == "btrfs") {
    args = {"/usr/bin/btrfs", "filesystem", "resize", "max", mount_path};
  } else {
    return fail(Kind::unsupported, "ResizeFS.Resize - resize of format {} is not supported for device {} mounted at {}",
                *format, device, mount_path);
  }
  const auto program = args.front().substr(args.front().rfind('/') + 1);
  KEELSON_TRY(const auto grown, call(run, args, kWrite));
  if (grown.exit_code != 0) {
    return fail(Kind::internal, "resize of device {} failed: exit status {}. {} output: {}{}", args.back(),
                grown.exit_code, program, grown.out, grown.error);
  }
  log::info("the file system of type {} on {} is as large as the disk now", *format, device);
  return {};
}

}  // namespace keelson::storage
