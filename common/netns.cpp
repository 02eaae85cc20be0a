// SPDX-License-Identifier: Apache-2.0
// setns(2), and bind mounts of /proc/thread-self/ns/net.
#include "common/netns.h"

#include <sched.h>
#include <sys/mount.h>

namespace keelson {

namespace {
constexpr const char* kOwn = "/proc/thread-self/ns/net";
}

Result<NetnsGuard> NetnsGuard::enter(const std::string& path) {
  KEELSON_TRY(auto target, open_file(path, O_RDONLY));
  return enter(target.get()).context("{}", path);
}

Result<NetnsGuard> NetnsGuard::enter(int fd) {
  NetnsGuard guard;
  KEELSON_TRY(guard.own_, open_file(kOwn, O_RDONLY));
  if (::setns(fd, CLONE_NEWNET) < 0) {
    int error = errno;
    guard.own_.reset();
    return fail_errno(error, "enter the network namespace");
  }
  return guard;
}

NetnsGuard::~NetnsGuard() {
  if (own_) {
    ::setns(own_.get(), CLONE_NEWNET);
  }
}

Result<> make_netns(const std::string& path) {
  KEELSON_DO(make_directories(path.substr(0, path.find_last_of('/'))));
  KEELSON_TRY(auto own, open_file(kOwn, O_RDONLY));
  KEELSON_TRY(auto file, open_file(path, O_RDONLY | O_CREAT | O_EXCL, 0444));
  if (::unshare(CLONE_NEWNET) < 0) {
    return fail_errno(errno, "make a network namespace");
  }
  int failed = ::mount(kOwn, path.c_str(), nullptr, MS_BIND, nullptr) < 0 ? errno : 0;
  ::setns(own.get(), CLONE_NEWNET);
  if (failed != 0) {
    ::unlink(path.c_str());
    return fail_errno(failed, "pin the network namespace at {}", path);
  }
  return {};
}

Result<> remove_netns(const std::string& path) {
  if (::umount2(path.c_str(), MNT_DETACH) < 0 && errno != ENOENT && errno != EINVAL) {
    return fail_errno(errno, "unpin {}", path);
  }
  if (::unlink(path.c_str()) < 0 && errno != ENOENT) {
    return fail_errno(errno, "remove {}", path);
  }
  return {};
}

}  // namespace keelson
