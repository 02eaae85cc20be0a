// SPDX-License-Identifier: Apache-2.0
// user_namespace.h: a process that does nothing but be there makes them.
#include "cri/shim/user_namespace.h"

#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace keelson::cri::shim {

namespace {

/// In the new namespaces until it is told to go. Only system calls: other threads of the caller may hold any lock.
[[noreturn]] void hold_namespaces(int line) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  int error = ::unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) == 0 ? 0 : errno;
  char go = 0;
  if (::send(line, &error, sizeof error, MSG_NOSIGNAL) == sizeof error) {
    static_cast<void>(::recv(line, &go, 1, 0));
  }
  ::_exit(0);
}

/// The holder's process; it ends with this.
class Holder {
 public:
  static Result<Holder> start() {
    Holder holder;
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
      return fail_errno(errno, "make a socket pair");
    }
    holder.line_ = Fd(ends[0]);
    const Fd theirs(ends[1]);
    clone_args args{};
    args.exit_signal = 0;  // its end is for us alone
    holder.pid_ = static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
    if (holder.pid_ == 0) {
      ::close(ends[0]);
      hold_namespaces(theirs.get());
    }
    if (holder.pid_ < 0) {
      return fail_errno(errno, "clone");
    }
    int error = 0;
    if (::recv(holder.line_.get(), &error, sizeof error, 0) != sizeof error) {
      return fail(Kind::internal, "the process that makes them was killed");
    }
    if (error != 0) {
      return fail_errno(error, "unshare");
    }
    return holder;
  }
  Holder(Holder&& other) noexcept : line_(std::move(other.line_)), pid_(std::exchange(other.pid_, -1)) {}
  Holder& operator=(Holder&&) = delete;
  ~Holder() {
    if (pid_ > 0) {
      line_.reset();
      ::waitpid(pid_, nullptr, __WCLONE);
    }
  }
  std::string file(std::string_view name) const { return fmt::format("/proc/{}/{}", pid_, name); }

 private:
  Holder() = default;
  Fd line_;
  pid_t pid_ = -1;
};

std::string lines_of(const std::vector<IdMapping>& mappings) {
  std::string lines;
  for (const auto& mapping : mappings) {
    lines += fmt::format("{} {} {}\n", mapping.container, mapping.host, mapping.length);
  }
  return lines;
}

uint32_t node_id(const std::vector<IdMapping>& mappings, uint32_t id) {
  for (const auto& mapping : mappings) {
    if (id >= mapping.container && id - mapping.container < mapping.length) {
      return mapping.host + (id - mapping.container);
    }
  }
  return mappings.empty() || id == 0 ? id : node_id(mappings, 0);
}

}  // namespace

Result<Namespaces> make_namespaces(const std::vector<IdMapping>& uids, const std::vector<IdMapping>& gids) {
  KEELSON_TRY(const auto holder, Holder::start());
  KEELSON_DO(write_value(holder.file("uid_map"), lines_of(uids)).context("map users"));
  KEELSON_DO(write_value(holder.file("gid_map"), lines_of(gids)).context("map groups"));
  Namespaces made;
  KEELSON_TRY(made.user, open_file(holder.file("ns/user"), O_RDONLY));
  KEELSON_TRY(made.network, open_file(holder.file("ns/net"), O_RDONLY));
  KEELSON_TRY(made.ipc, open_file(holder.file("ns/ipc"), O_RDONLY));
  KEELSON_TRY(made.uts, open_file(holder.file("ns/uts"), O_RDONLY));
  return made;
}

uint32_t UserNamespace::node_uid(uint32_t uid) const {
  return node_id(uids, uid);
}

uint32_t UserNamespace::node_gid(uint32_t gid) const {
  return node_id(gids, gid);
}

Result<> make_files_as(uint32_t uid, uint32_t gid) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capget, &header, data) < 0) {
    return fail_errno(errno, "read our capabilities");
  }
  ::setfsgid(gid);
  ::setfsuid(uid);  // takes what concerns files out of the effective set; it comes back
  if (::syscall(SYS_capset, &header, data) < 0) {
    return fail_errno(errno, "keep our capabilities");
  }
  return {};
}

Result<> become_namespace_root() {
  if (::setgroups(0, nullptr) < 0 || ::setresgid(0, 0, 0) < 0 || ::setresuid(0, 0, 0) < 0) {
    return fail_errno(errno, "become root of the user namespace");
  }
  return {};
}

Result<> map_owners(int tree, int user) {
  struct mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_IDMAP;
  attributes.userns_fd = static_cast<uint64_t>(user);
  if (::syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0) {
    return errno == EINVAL ? fail(Kind::unsupported, "its file system cannot be mounted with mapped owners")
                           : fail_errno(errno, "map its owners");
  }
  return {};
}

Result<> try_user_namespace(const std::string& path) {
  KEELSON_TRY(const auto made, make_namespaces({{0, 65536, 65536}}, {{0, 65536, 65536}}));
  const Fd tree(::open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!tree) {
    return fail_errno(errno, "copy the mount of {}", path);
  }
  return map_owners(tree.get(), made.user.get()).context("{}", path);
}

}  // namespace keelson::cri::shim
