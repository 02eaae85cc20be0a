// SPDX-License-Identifier: Apache-2.0
// spec.h: device nodes.
#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "cri/runtime/spec.h"

namespace keelson::cri {

namespace {

constexpr std::pair<std::string_view, unsigned> kDefaults[] = {
    {"/dev/null", 3}, {"/dev/zero", 5}, {"/dev/full", 7}, {"/dev/random", 8}, {"/dev/urandom", 9}};

shim::Device device_of(std::string path, const struct stat& info) {
  return {.path = std::move(path),
          .type = info.st_mode & S_IFMT,
          .major = ::major(info.st_rdev),
          .minor = ::minor(info.st_rdev),
          .mode = info.st_mode & 07777,
          .uid = info.st_uid,
          .gid = info.st_gid};
}

bool is_device(mode_t mode) {
  return S_ISCHR(mode) || S_ISBLK(mode);
}

void put(std::vector<shim::Device>& devices, shim::Device device) {
  std::erase_if(devices, [&](const auto& old) { return old.path == device.path; });
  devices.push_back(std::move(device));
}

// Every device below `host`, as `container`/<relative path>. What belongs to the container's own /dev is left out.
void put_tree(const std::filesystem::path& host, const std::filesystem::path& container,
              std::vector<shim::Device>& devices) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(host, error)) {
    const auto name = entry.path().filename().string();
    struct stat info{};
    if (name == "pts" || name == "shm" || name == "fd" || name == "mqueue" || name == "console" || name == "ptmx" ||
        name == "tty" || ::lstat(entry.path().c_str(), &info) != 0) {
      continue;
    }
    if (S_ISDIR(info.st_mode)) {
      put_tree(entry.path(), container / name, devices);
    } else if (is_device(info.st_mode)) {
      put(devices, device_of((container / name).string(), info));
    }
  }
}

// As asked for it; what every container has may be made, too.
std::string rights_to(const SpecInput& input, const shim::Device& device) {
  for (const auto& node : input.cdi_edits.nodes) {
    if (node.path == device.path) {
      return node.permissions;
    }
  }
  for (const auto& wanted : input.config.devices()) {
    const auto& target = wanted.container_path().empty() ? wanted.host_path() : wanted.container_path();
    if ((device.path == target || device.path.starts_with(target + "/")) && !wanted.permissions().empty()) {
      return wanted.permissions();
    }
  }
  return device.type == S_IFCHR && device.major == 1 ? "rwm" : "rw";
}

}  // namespace

Result<> add_devices(const SpecInput& input, shim::ContainerSpec& spec) {
  for (const auto& [path, minor] : kDefaults) {
    spec.devices.push_back({.path = std::string(path), .type = S_IFCHR, .major = 1, .minor = minor});
  }
  spec.devices.push_back({.path = "/dev/tty", .type = S_IFCHR, .major = 5, .minor = 0});
  if (input.config.linux().security_context().privileged()) {
    put_tree("/dev", "/dev", spec.devices);
  }
  for (int i = 0; i < input.config.devices_size(); ++i) {
    const auto& wanted = input.config.devices(i);
    struct stat info{};
    if (::stat(wanted.host_path().c_str(), &info) != 0) {
      return fail_errno(errno, "devices[{}].host_path {}", i, wanted.host_path());
    }
    const auto target = wanted.container_path().empty() ? wanted.host_path() : wanted.container_path();
    if (S_ISDIR(info.st_mode)) {
      put_tree(wanted.host_path(), target, spec.devices);
    } else if (is_device(info.st_mode)) {
      put(spec.devices, device_of(target, info));
    } else {
      return fail(Kind::invalid, "devices[{}].host_path {}: not a device", i, wanted.host_path());
    }
  }
  return {};
}

std::vector<std::string> device_rules(const SpecInput& input, const shim::ContainerSpec& spec) {
  std::vector<std::string> rules;
  if (input.config.linux().security_context().privileged()) {
    return {"a"};
  }
  for (const auto& device : spec.devices) {
    rules.push_back(fmt::format("{} {}:{} {}", device.type == S_IFBLK ? 'b' : 'c', device.major, device.minor,
                                rights_to(input, device)));
  }
  return rules;
}

}  // namespace keelson::cri
