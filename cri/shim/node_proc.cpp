// SPDX-License-Identifier: Apache-2.0
// node_proc.h: openat2(2), statfs(2).
#include "cri/shim/node_proc.h"

#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

namespace keelson::cri::shim {

Result<NodeProc> NodeProc::open() {
  KEELSON_TRY(auto root, keelson::open_file("/proc", O_PATH | O_DIRECTORY));
  struct statfs where{};
  if (::fstatfs(root.get(), &where) < 0 || where.f_type != PROC_SUPER_MAGIC) {
    return fail(Kind::invalid, "/proc is no procfs");
  }
  return NodeProc(std::move(root));
}

Result<Fd> NodeProc::open_file(const std::string& path, int flags) const {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
  Fd file(static_cast<int>(::syscall(SYS_openat2, root_.get(), path.c_str(), &how, sizeof how)));
  if (!file) {
    return fail_errno(errno, "open /proc/{}", path);
  }
  return file;
}

}  // namespace keelson::cri::shim
