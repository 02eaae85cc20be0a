// SPDX-License-Identifier: Apache-2.0
// proc_mount.h: fsopen(2), fsconfig(2), fsmount(2).
#include "cri/shim/proc_mount.h"

#include <linux/mount.h>
#include <sys/mount.h>

#include <array>

#include "cri/shim/descriptors.h"
#include "cri/shim/mounts.h"

namespace keelson::cri::shim {

namespace {

Result<Fd> configure_proc() {
  Fd context(::fsopen("proc", FSOPEN_CLOEXEC));
  if (!context || ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) < 0) {
    return fail_errno(errno, "configure procfs");
  }
  return context;
}

Result<Fd> mount_of(const Fd& context, uint64_t flags) {
  Fd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(mount_attributes(flags))));
  if (!mount) {
    return fail_errno(errno, "mount procfs");
  }
  return mount;
}

}  // namespace

Result<Fd> make_proc(uint64_t flags) {
  KEELSON_TRY(auto context, configure_proc());
  return mount_of(context, flags);
}

Result<Fd> ask_for_proc(int line) {
  KEELSON_TRY(auto context, configure_proc());
  const int fd = context.get();
  std::array<char, 256> answer{};
  std::vector<Fd> mount;
  ssize_t size = send_with(line, "p", {&fd, 1});
  if (size > 0) {
    size = receive_with(line, answer, mount);
  }
  if (size > 0 && mount.size() == 1) {
    return std::move(mount[0]);
  }
  return size > 0 ? fail(Kind::internal, "{}", std::string_view(answer.data(), static_cast<size_t>(size)))
                  : fail(Kind::internal, "the process that mounts procfs for the user namespace is gone");
}

Result<> serve_proc(int line, uint64_t flags) {
  std::array<char, 1> question{};
  std::vector<Fd> context;
  if (receive_with(line, question, context) != 1 || context.size() != 1) {
    return {};
  }
  const auto mount = mount_of(context[0], flags);
  if (!mount) {
    send_with(line, mount.error().message(), {});
    return {};
  }
  const int fd = mount->get();
  if (send_with(line, "m", {&fd, 1}) != 1) {
    return fail_errno(errno, "hand over procfs");
  }
  return {};
}

}  // namespace keelson::cri::shim
