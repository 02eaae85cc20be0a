// SPDX-License-Identifier: Apache-2.0
// devices.h: mknod(2) and checks by descriptor.
#include "cri/shim/devices.h"

#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "cri/shim/mounts.h"

namespace keelson::cri::shim {

namespace {

const dev_t kNull = ::makedev(1, 3);
const dev_t kTerminals = ::makedev(5, 2);

Result<> must_be(const Fd& node, dev_t number, const char* path) {
  struct stat info{};
  if (::fstat(node.get(), &info) < 0) {
    return fail_errno(errno, "look at {}", path);
  }
  if (!S_ISCHR(info.st_mode) || info.st_rdev != number) {
    return fail(Kind::invalid, "{} in the container is not the character device {}:{}; its image or a volume is wrong",
                path, ::major(number), ::minor(number));
  }
  return {};
}

}  // namespace

Result<> make_device(int root, const Device& device, const UserNamespace& users) {
  auto slash = device.path.find_last_of('/');
  KEELSON_TRY(auto folder, open_target(root, slash == 0 ? "/" : device.path.substr(0, slash), true));
  std::string name = device.path.substr(slash + 1);
  if (::mknodat(folder.get(), name.c_str(), device.type | device.mode, ::makedev(device.major, device.minor)) < 0 &&
      errno != EEXIST) {
    return fail_errno(errno, "mknod");
  }
  // What is there may be a volume's, and a link in it may lead to a file of the node: only the very node we mean is
  // touched.
  Fd node(::openat(folder.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat info{};
  if (!node || ::fstat(node.get(), &info) < 0) {
    return fail_errno(errno, "look at it");
  }
  if ((info.st_mode & S_IFMT) != device.type || info.st_rdev != ::makedev(device.major, device.minor)) {
    return fail(Kind::invalid, "something else is there already");
  }
  // The mode again, past the umask.
  if (::chmod(fmt::format("/proc/self/fd/{}", node.get()).c_str(), device.mode) < 0 ||
      ::fchownat(node.get(), "", users.node_uid(device.uid), users.node_gid(device.gid), AT_EMPTY_PATH) < 0) {
    return fail_errno(errno, "set its owner and mode");
  }
  return {};
}

Result<> make_device_links(int root) {
  auto folder = open_in_root(root, "/dev", O_PATH | O_DIRECTORY);
  if (!folder) {
    return {};  // an image without /dev, and nobody asked for one
  }
  static constexpr const char* kLinks[][2] = {{"/proc/self/fd", "fd"},
                                              {"/proc/self/fd/0", "stdin"},
                                              {"/proc/self/fd/1", "stdout"},
                                              {"/proc/self/fd/2", "stderr"},
                                              {"pts/ptmx", "ptmx"}};
  for (const auto& [target, name] : kLinks) {
    if (::symlinkat(target, folder->get(), name) < 0 && errno != EEXIST && errno != EROFS) {
      return fail_errno(errno, "link /dev/{}", name);
    }
  }
  return {};
}

Result<Fd> open_null(int flags) {
  // Not before it is known what this is: merely to open a device may do something.
  Fd node(::open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!node) {
    return fail_errno(errno, "open /dev/null");
  }
  KEELSON_DO(must_be(node, kNull, "/dev/null"));
  if ((flags & O_PATH) != 0) {
    return node;
  }
  KEELSON_TRY(auto opened, open_file("/dev/null", flags | O_NOFOLLOW));
  KEELSON_DO(must_be(opened, kNull, "/dev/null"));
  return opened;
}

Result<Fd> open_terminal_master() {
  Fd node(::open("/dev/ptmx", O_PATH | O_CLOEXEC));
  if (!node) {
    return fail_errno(errno, "open /dev/ptmx");
  }
  KEELSON_DO(must_be(node, kTerminals, "/dev/ptmx"));
  KEELSON_TRY(auto master, open_file("/dev/ptmx", O_RDWR | O_NOCTTY));
  KEELSON_DO(must_be(master, kTerminals, "/dev/ptmx"));
  struct statfs where{};
  if (::fstatfs(master.get(), &where) < 0 || where.f_type != DEVPTS_SUPER_MAGIC) {
    return fail(Kind::invalid, "/dev/ptmx in the container belongs to no devpts");
  }
  return master;
}

}  // namespace keelson::cri::shim
