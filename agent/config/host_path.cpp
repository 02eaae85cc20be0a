// SPDX-License-Identifier: Apache-2.0
#include "agent/config/host_path.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "common/fd.h"

namespace keelson::agent {

Result<> check_host_path(const kube::HostPathVolume& volume) {
  using Type = kube::HostPathType;
  struct stat info{};
  bool there = ::stat(volume.path.c_str(), &info) == 0;
  auto wrong = [&](const char* what) {
    return fail(Kind::invalid, "hostPath type check failed: {} is not a {}", volume.path, what);
  };
  switch (volume.type) {
    case Type::unset:
      return {};
    case Type::directory_or_create:
      if (!there) {
        return make_directories(volume.path, 0755);
      }
      return S_ISDIR(info.st_mode) ? Result<>() : wrong("directory");
    case Type::file_or_create:
      if (!there) {
        KEELSON_TRY(auto file, open_file(volume.path, O_WRONLY | O_CREAT, 0644));
        return {};
      }
      return S_ISREG(info.st_mode) ? Result<>() : wrong("file");
    case Type::directory:
      return there && S_ISDIR(info.st_mode) ? Result<>() : wrong("directory");
    case Type::file:
      return there && S_ISREG(info.st_mode) ? Result<>() : wrong("file");
    case Type::socket:
      return there && S_ISSOCK(info.st_mode) ? Result<>() : wrong("socket file");
    case Type::char_device:
      return there && S_ISCHR(info.st_mode) ? Result<>() : wrong("character device");
    case Type::block_device:
      return there && S_ISBLK(info.st_mode) ? Result<>() : wrong("block device");
  }
  return {};
}

}  // namespace keelson::agent
