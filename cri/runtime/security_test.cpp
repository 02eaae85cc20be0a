// SPDX-License-Identifier: Apache-2.0
// Capabilities and seccomp: sets as Kubernetes means them, and filters tried on the running kernel.
#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bit>
#include <functional>

#include "cri/runtime/capabilities.h"
#include "cri/runtime/seccomp.h"

namespace keelson::cri {
namespace {

using Names = std::vector<std::string>;

TEST(Capabilities, AddAndDrop) {
  EXPECT_EQ(*adjust_capabilities(default_capabilities(), {}, {}), default_capabilities());
  EXPECT_EQ(std::popcount(default_capabilities()), 14);
  EXPECT_EQ(*adjust_capabilities(default_capabilities(), Names{"NET_ADMIN"}, Names{"cap_net_raw"}),
            (default_capabilities() | 1ull << CAP_NET_ADMIN) & ~(1ull << CAP_NET_RAW));
  EXPECT_EQ(*adjust_capabilities(default_capabilities(), Names{"ALL"}, Names{"CHOWN"}), all_capabilities() & ~1ull);
  EXPECT_EQ(*adjust_capabilities(default_capabilities(), Names{"NET_BIND_SERVICE"}, Names{"ALL"}),
            1ull << CAP_NET_BIND_SERVICE);
  auto wrong = adjust_capabilities(0, Names{"NET_ADMN"}, {});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().kind(), Kind::invalid);
}

// The errno that `call` gets under the program, 0 if it worked, in a child of its own; 255 if the child was killed.
int outcome_under(const std::string& program, const std::function<long()>& call) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::sock_fprog filter{static_cast<unsigned short>(program.size() / sizeof(::sock_filter)),
                        reinterpret_cast<::sock_filter*>(const_cast<char*>(program.data()))};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
      ::_exit(254);
    }
    ::_exit(call() < 0 ? errno : 0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

struct Case {
  const char* name;
  std::function<long()> call;
  int under_default;
  int under_admin;
};

TEST(Seccomp, DefaultProfileOnThisKernel) {
  // Arguments are chosen so that an allowed call fails harmlessly with another error than EPERM.
  const Case kCases[] = {
      {"getpid", [] { return ::syscall(SYS_getpid); }, 0, 0},
      {"mount", [] { return ::syscall(SYS_mount, nullptr, "/nowhere", nullptr, 0, nullptr); }, EPERM, ENOENT},
      {"unshare", [] { return ::syscall(SYS_unshare, 0x1); }, EPERM, EINVAL},
      {"setns", [] { return ::syscall(SYS_setns, -1, 0); }, EPERM, EBADF},
      {"bpf", [] { return ::syscall(SYS_bpf, 9999, nullptr, 0); }, EPERM, EINVAL},
      {"clone3", [] { return ::syscall(SYS_clone3, nullptr, 1); }, ENOSYS, EINVAL},
      {"clone NEWUSER", [] { return ::syscall(SYS_clone, CLONE_NEWUSER | CLONE_SIGHAND, 0, 0, 0, 0); }, EPERM, EINVAL},
      {"keyctl", [] { return ::syscall(SYS_keyctl, 9999); }, EPERM, EPERM},
      {"io_uring_setup", [] { return ::syscall(425, 0, nullptr); }, EPERM, EPERM},
      {"kexec_load", [] { return ::syscall(SYS_kexec_load, 0, 0, nullptr, 0xffff); }, EPERM, EPERM},
      {"socket vsock", [] { return ::syscall(SYS_socket, 40, 9999, 0); }, EPERM, EPERM},
      {"socket inet", [] { return ::syscall(SYS_socket, 2, 1, 0); }, 0, 0},
      {"personality", [] { return ::syscall(SYS_personality, 0xffffffff); }, 0, 0},
      {"personality 32", [] { return ::syscall(SYS_personality, 0x0400000); }, EPERM, EPERM},
      {"a number of the future", [] { return ::syscall(2000); }, EPERM, EPERM},
  };
  const auto plain = default_seccomp_program(default_capabilities());
  const auto admin = default_seccomp_program(default_capabilities() | 1ull << CAP_SYS_ADMIN);
  ASSERT_TRUE(plain) << plain.error().message();
  ASSERT_TRUE(admin) << admin.error().message();
  for (const auto& [name, call, under_default, under_admin] : kCases) {
    EXPECT_EQ(outcome_under(*plain, call), under_default) << name;
    if (std::string_view(name) != "bpf") {
      EXPECT_EQ(outcome_under(*admin, call), under_admin) << name;
    }
  }
}

TEST(Seccomp, LocalhostProfile) {
  const auto program =
      seccomp_program_of_profile(R"({"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64"],
      "syscalls":[{"names":["mkdir","mkdirat","no_such_call"],"action":"SCMP_ACT_ERRNO","errnoRet":38},
                  {"names":["kill"],"action":"SCMP_ACT_ERRNO","args":[{"index":1,"value":0,"op":"SCMP_CMP_EQ"}]}]})");
  ASSERT_TRUE(program) << program.error().message();
  EXPECT_EQ(outcome_under(*program, [] { return ::syscall(SYS_mkdirat, AT_FDCWD, "/", 0); }), ENOSYS);
  EXPECT_EQ(outcome_under(*program, [] { return ::syscall(SYS_kill, ::getpid(), 0); }), EPERM);
  EXPECT_EQ(outcome_under(*program, [] { return ::syscall(SYS_kill, ::getpid(), SIGCHLD); }), 0);
}

TEST(Seccomp, LocalhostMistakesNameTheirPlace) {
  const auto bad = [](std::string_view text) {
    const auto program = seccomp_program_of_profile(text);
    return program ? std::string("accepted") : program.error().message();
  };
  EXPECT_THAT(bad("["), testing::HasSubstr("not a JSON object"));
  EXPECT_THAT(bad(R"({"defaultAction":"SCMP_ACT_NOTIFY"})"), testing::HasSubstr("defaultAction"));
  EXPECT_THAT(bad(R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["kill"],"action":"X"}]})"),
              testing::HasSubstr("syscalls[0].action"));
}

}  // namespace
}  // namespace keelson::cri
