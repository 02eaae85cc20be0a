// SPDX-License-Identifier: Apache-2.0
// Ways out of a container, tried in earnest against a real daemon, shim and kernel, and refused.
//
// More of them stand beside the code that refuses them: links in images and mount targets (cri/shim/rootfs_test.cpp),
// a false /dev/null over masked paths and the node's host name (ShimTest), ".." and links in layers
// (cri/image/unpack_test.cpp), ".." in subPath (agent/config/volumes_test.cpp).
#include <gmock/gmock.h>
#include <grp.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include <atomic>
#include <thread>

#include "cri/runtime_fixture.h"

namespace keelson::cri {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

class EscapeTest : public RuntimeFixture {
 protected:
  void SetUp() override {
    RuntimeFixture::SetUp();
    if (!IsSkipped()) {
      fs::copy(std::string(KEELSON_ESCAPE), dir_ + "/layer/bin/escape");
      fs::create_directories(dir_ + "/layer/tmp");
      std::ofstream(dir_ + "/canary") << "a file of the node";
    }
  }

  std::string sandbox(const std::string& name, v1::NamespaceMode pid = v1::CONTAINER) {
    auto config = sandbox_config(name);
    config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(pid);
    return run_sandbox(config);
  }
  v1::ContainerConfig attacker(v1::NamespaceMode pid = v1::CONTAINER, const std::string& capability = "") {
    auto config = container_config("attacker", {"sleep", "1000"});
    auto* security = config.mutable_linux()->mutable_security_context();
    security->mutable_namespace_options()->set_pid(pid);
    if (!capability.empty()) {
      security->mutable_capabilities()->add_add_capabilities(capability);
    }
    return config;
  }
  std::string out(const std::string& id, std::vector<std::string> command) {
    v1::ExecSyncResponse response;
    const auto status = exec(id, std::move(command), 60, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.stdout() + response.stderr();
  }
  int code(const std::string& id, std::vector<std::string> command) {
    v1::ExecSyncResponse response;
    EXPECT_TRUE(exec(id, std::move(command), 60, &response).ok());
    return response.exit_code();
  }
};

// CVE-2019-5736. What runs as /proc/self/exe is the shim's own binary, which another process of the pod can hold on to.
TEST_F(EscapeTest, TheShimsBinaryCannotBeOverwrittenThroughProc) {
  const auto before = read_file(options_.shim_binary, 64 << 20);
  ASSERT_TRUE(before);
  const auto pod = sandbox("exe", v1::POD);
  const auto id = run_container(pod, attacker(v1::POD));
  std::string found;
  std::atomic<bool> tried = false;
  std::jthread looks([&] {
    found = out(id, {"escape", "overwrite", "3"});
    tried = true;
  });
  for (int i = 0; !tried; ++i) {
    v1::ExecSyncResponse ignored;
    exec(id, {"/proc/self/exe"}, 60, &ignored);
    auto config = container_config(fmt::format("self-{}", i), {"/proc/self/exe"});
    config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(v1::POD);
    std::string victim;
    if (create(pod, config, &victim).ok()) {
      start_container(victim);
      remove_container(victim);
    }
  }
  looks.join();
  EXPECT_THAT(found, HasSubstr(" writable 0\n"));
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)  // else the shim needs libraries to run there
  EXPECT_THAT(found, Not(HasSubstr("held 0 "))) << "the attack has not been tried";
#endif
  EXPECT_TRUE(*read_file(options_.shim_binary, 64 << 20) == *before);
  EXPECT_TRUE(remove_sandbox(pod).ok());
}

TEST_F(EscapeTest, OnlyThreeDescriptorsAreOpenInAContainer) {
  const auto pod = sandbox("fds");
  auto config = container_config("main", {"sh", "-c", "escape descriptors; sleep 1000"});
  const auto id = run_container(pod, config);
  EXPECT_EQ(out(id, {"escape", "descriptors"}), "0\n1\n2\n");
  config = container_config("terminal", {"sh", "-c", "escape descriptors; sleep 1000"});
  config.set_tty(true);
  config.set_stdin(true);
  const auto terminal = run_container(pod, config);
  restart();
  EXPECT_EQ(out(id, {"escape", "descriptors"}), "0\n1\n2\n");
  EXPECT_EQ(out(terminal, {"escape", "descriptors"}), "0\n1\n2\n");
  for (const char* name : {"main", "terminal"}) {
    wait_until(name, [&] { return std::ranges::count(log_of("fds", name), '\n') >= 3; });
    EXPECT_EQ(std::ranges::count(log_of("fds", name), '\n'), 3) << log_of("fds", name);
  }
  EXPECT_THAT(out(id, {"cat", "/proc/self/environ"}), Not(HasSubstr("KEELSON")));
  EXPECT_TRUE(remove_sandbox(pod).ok());
}

// CVE-2024-21626: a working directory that is a descriptor the runtime has left open.
TEST_F(EscapeTest, TheWorkingDirectoryIsInsideTheContainer) {
  const auto pod = sandbox("cwd");
  const std::string up = "../../../../../../../..";
  int tried = 0;
  for (int number = 3; number < 24; ++number) {
    auto config = container_config(fmt::format("c{}", number), {"cat", up + dir_ + "/canary"});
    config.set_working_dir(fmt::format("/proc/self/fd/{}", number));
    std::string id;
    const bool made = create(pod, config, &id).ok();
    const auto started = made ? start_container(id) : grpc::Status();
    if (made && !started.ok()) {
      EXPECT_THAT(started.error_message(), HasSubstr(config.working_dir())) << "refused for another reason";
      ++tried;
    } else if (made) {
      EXPECT_NE(wait_exit(id).exit_code(), 0) << config.working_dir();
      ++tried;
    }
  }
  EXPECT_EQ(tried, 21);
  EXPECT_TRUE(remove_sandbox(pod).ok());
}

// Who sees the node's processes must not begin in their root, which the process that becomes the container could enter.
TEST_F(EscapeTest, TheWorkingDirectoryIsNotAnotherProcesssRoot) {
  const auto pod = sandbox("cwd-root", v1::NODE);
  int number = 0;
  for (const auto& place : std::vector<std::string>{"root", "cwd", "root/tmp", "root" + dir_ + "/made"}) {
    auto config = container_config(fmt::format("c{}", ++number), {"cat", dir_.substr(1) + "/canary"});
    config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(v1::NODE);
    config.set_working_dir(fmt::format("/proc/{}/{}", ::getpid(), place));
    std::string id;
    ASSERT_TRUE(create(pod, config, &id).ok());
    const auto started = start_container(id);
    EXPECT_FALSE(started.ok()) << config.working_dir();
    EXPECT_THAT(started.error_message(), HasSubstr(config.working_dir())) << "refused for another reason";
  }
  EXPECT_FALSE(fs::exists(dir_ + "/made"));
  EXPECT_TRUE(remove_sandbox(pod).ok());
}

// A folder of a volume that turns into a link to elsewhere while it is a mount's target.
TEST_F(EscapeTest, MountTargetsThatChangeUnderTheMount) {
  fs::create_directories(dir_ + "/volume/target");
  fs::create_directories(dir_ + "/payload");
  fs::create_symlink("../../../../../../../.." + dir_, dir_ + "/volume/link");
  const auto pod = sandbox("race");
  auto flipper = container_config("flipper", {"escape", "flip", "/volume/target", "/volume/link"});
  auto* mount = flipper.add_mounts();
  mount->set_container_path("/volume");
  mount->set_host_path(dir_ + "/volume");
  run_container(pod, flipper);
  int made = 0;
  for (int i = 0; i < 60; ++i) {
    auto victim = container_config(fmt::format("v{}", i), {"sleep", "1000"});
    *victim.add_mounts() = *mount;
    auto* below = victim.add_mounts();
    below->set_container_path("/volume/target/escaped");
    below->set_host_path(dir_ + "/payload");
    std::string id;
    made += create(pod, victim, &id).ok() ? 1 : 0;
    EXPECT_FALSE(fs::exists(dir_ + "/escaped")) << "made on the node";
    remove_container(id);
  }
  EXPECT_GT(made, 0) << "the race has not been tried";
  EXPECT_TRUE(remove_sandbox(pod).ok());
}

TEST_F(EscapeTest, PathsThatClimb) {
  const auto pod = sandbox("paths");
  auto config = container_config("climber", {"sleep", "1000"});
  auto* mount = config.add_mounts();
  mount->set_container_path("/../../../../../../../.." + dir_ + "/escaped");
  mount->set_host_path(dir_ + "/canary");
  run_container(pod, config);
  EXPECT_FALSE(fs::exists(dir_ + "/escaped"));
  config = container_config("log", {"true"});
  config.set_log_path("../../../escaped.log");
  std::string id;
  EXPECT_EQ(create(pod, config, &id).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_FALSE(fs::exists(dir_ + "/escaped.log"));
  EXPECT_TRUE(remove_sandbox("../../canary").ok());  // nobody of that name: fine, as for every unknown id
  EXPECT_TRUE(fs::exists(dir_ + "/canary"));
  EXPECT_TRUE(remove_sandbox(pod).ok());
}

// With the lists that the kubelet sends unless a pod asks for procMount Unmasked; CRI leaves nothing masked without
// them.
TEST_F(EscapeTest, WhatIsMaskedOrReadOnlyCannotBeWrittenOrRead) {
  const auto pod = sandbox("masks");
  auto config = attacker();
  auto* security = config.mutable_linux()->mutable_security_context();
  for (const char* path :
       {"/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
        "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"}) {
    security->add_masked_paths(path);
  }
  for (const char* path : {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}) {
    security->add_readonly_paths(path);
  }
  const auto id = run_container(pod, config);
  // What is written is what is there, so that a success does no harm.
  for (const char* path :
       {"/proc/sys/kernel/core_pattern", "/proc/sys/vm/panic_on_oom", "/proc/irq/default_smp_affinity",
        "/sys/kernel/mm/ksm/run", "/sys/fs/cgroup/memory/memory.swappiness",
        "/proc/1/root/proc/sys/kernel/core_pattern", "/proc/self/cwd/proc/sys/vm/panic_on_oom"}) {
    EXPECT_EQ(code(id, {"sh", "-c", fmt::format("[ ! -e {0} ] || echo \"$(cat {0})\" > {0}", path)}) == 0,
              code(id, {"test", "!", "-e", path}) == 0)
        << path;
  }
  EXPECT_NE(code(id, {"sh", "-c", "echo h > /proc/sysrq-trigger"}), 0);
  for (const char* path : {"/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug"}) {
    EXPECT_EQ(out(id, {"sh", "-c", fmt::format("[ ! -e {0} ] || dd if={0} bs=1 count=1 2>/dev/null", path)}), "")
        << path;
  }
  EXPECT_EQ(out(id, {"ls", "/sys/firmware"}), "");
  EXPECT_TRUE(remove_sandbox(pod).ok());
}

// CVE-2022-0492. With SYS_ADMIN and no seccomp a hierarchy can be mounted, but its root is the container's own cgroup,
// where that file is not.
TEST_F(EscapeTest, NobodySetsAReleaseAgent) {
  const auto pod = sandbox("cgroups");
  const auto plain = out(run_container(pod, attacker()), {"escape", "release-agent"});
  EXPECT_THAT(plain, HasSubstr("mount EPERM\n"));
  EXPECT_THAT(plain, Not(HasSubstr("OK")));
  auto config = attacker(v1::CONTAINER, "SYS_ADMIN");
  config.mutable_metadata()->set_name("admin");
  config.mutable_linux()->mutable_security_context()->mutable_seccomp()->set_profile_type(
      v1::SecurityProfile::Unconfined);
  const auto admin = out(run_container(pod, config), {"escape", "release-agent"});
  EXPECT_THAT(admin, HasSubstr("write "));
  EXPECT_THAT(admin, Not(HasSubstr("write OK")));
  EXPECT_THAT(admin, Not(HasSubstr("theirs OK")));
  EXPECT_TRUE(remove_sandbox(pod).ok());
}

TEST_F(EscapeTest, TheShimCannotBeTracedFromAPodThatSeesIt) {
  const auto pod = sandbox("host-pid", v1::NODE);
  const auto id = run_container(pod, attacker(v1::NODE));
  const auto tried = out(id, {"escape", "trace", std::to_string(shim_of(pod))});
  EXPECT_EQ(std::ranges::count(tried, '\n'), 6);
  EXPECT_THAT(tried, Not(HasSubstr("OK"))) << tried;
  EXPECT_TRUE(remove_sandbox(pod).ok());
}

// With SYS_PTRACE a container may become any process that it sees. So those of the runtime in a shared PID namespace
// have nothing of the node: the first process, and a container that waits for its start.
TEST_F(EscapeTest, NothingOfTheNodeIsInASharedPidNamespace) {
  const auto pod = sandbox("shared", v1::POD);
  const auto id = run_container(pod, attacker(v1::POD, "SYS_PTRACE"));
  EXPECT_THAT(out(id, {"cat", "/proc/1/status"}), HasSubstr("CapPrm:\t0000000000000000"));
  EXPECT_EQ(out(id, {"ls", "/proc/1/root/"}), "");
  EXPECT_NE(code(id, {"cat", "/proc/1/root" + dir_ + "/canary"}), 0);

  auto config = container_config("waiting", {"sleep", "1000"});
  config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(v1::POD);
  std::string waiting;
  ASSERT_TRUE(create(pod, config, &waiting).ok());
  const auto seen = out(id, {"escape", "others"});
  EXPECT_THAT(seen, HasSubstr(" 0 ")) << "no process has been looked at";
  EXPECT_THAT(seen, Not(HasSubstr(dir_)));
  EXPECT_THAT(seen, Not(HasSubstr("/proc")));
  EXPECT_THAT(out(id, {"sh", "-c", "for p in /proc/[0-9]*; do cat $p/root" + dir_ + "/canary; done"}),
              Not(HasSubstr("a file of the node")));
  EXPECT_TRUE(remove_sandbox(pod).ok());
}

// CVE-2016-9962: a process that enters the container must not be seen there before it has left the node's root.
TEST_F(EscapeTest, AnExecHasLeftTheNodeBeforeItIsSeen) {
  const auto pod = sandbox("exec");
  const auto id = run_container(pod, attacker(v1::CONTAINER, "SYS_PTRACE"));
  std::string found;
  std::atomic<bool> tried = false;
  std::jthread looks([&] {
    found = out(id, {"escape", "roots", "3", dir_ + "/canary"});
    tried = true;
  });
  while (!tried) {
    v1::ExecSyncResponse ignored;
    exec(id, {"true"}, 60, &ignored);
  }
  looks.join();
  EXPECT_EQ(found, "seen some found 0\n");
  EXPECT_TRUE(remove_sandbox(pod).ok());
}

TEST_F(EscapeTest, AContainerHasLeftTheNodeBeforeItIsSeen) {
  const auto pod = sandbox("create", v1::POD);
  const auto id = run_container(pod, attacker(v1::POD, "SYS_PTRACE"));
  std::string found;
  std::atomic<bool> tried = false;
  std::jthread looks([&] {
    found = out(id, {"escape", "roots", "3", dir_ + "/canary"});
    tried = true;
  });
  for (int i = 0; !tried; ++i) {
    auto config = container_config(fmt::format("new-{}", i), {"true"});
    config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(v1::POD);
    std::string made;
    if (create(pod, config, &made).ok()) {
      start_container(made);
      remove_container(made);
    }
  }
  looks.join();
  EXPECT_EQ(found, "seen some found 0\n");
  EXPECT_TRUE(remove_sandbox(pod).ok());
}

TEST_F(EscapeTest, TheDefaultProfileForbidsWhatContainersDoNotNeed) {
  const auto pod = sandbox("calls");
  const auto tried = out(run_container(pod, attacker()), {"escape", "calls"});
  EXPECT_EQ(std::ranges::count(tried, '\n'), 13) << tried;
  EXPECT_THAT(tried, testing::MatchesRegex("([a-z_]+ (EPERM|ENOSYS)\n)+"));
  EXPECT_TRUE(remove_sandbox(pod).ok());
}

/// How a look at `path` ends for a user of the node: 0 or the errno.
int looked_at_by_nobody(const std::string& path) {
  const pid_t child = ::fork();
  if (child == 0) {
    const bool nobody =
        ::setgroups(0, nullptr) == 0 && ::setresgid(65534, 65534, 65534) == 0 && ::setresuid(65534, 65534, 65534) == 0;
    ::_exit(!nobody ? 255 : ::access(path.c_str(), F_OK) == 0 ? 0 : errno);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WEXITSTATUS(status);
}

// CVE-2021-41103: a container's root writes a program that runs as root, and a user of the node runs it.
TEST_F(EscapeTest, AUserOfTheNodeReachesNothingThatAContainerWrites) {
  ASSERT_EQ(::chmod(dir_.c_str(), 0711), 0);  // the test's own folder hides nothing
  const auto pod = sandbox("users");
  const auto id = run_container(pod, attacker());
  ASSERT_EQ(code(id, {"touch", "/program", "/dev/shm/secret"}), 0);
  const auto written = options_.state_dir + "/containers/" + id + "/upper/program";
  const auto shared = options_.run_dir + "/sandboxes/" + pod + "/shm/secret";
  EXPECT_TRUE(fs::exists(written));
  EXPECT_TRUE(fs::exists(shared));
  EXPECT_EQ(looked_at_by_nobody(written), EACCES);
  EXPECT_EQ(looked_at_by_nobody(shared), EACCES);
  EXPECT_EQ(looked_at_by_nobody(dir_ + "/canary"), 0) << "nothing of the test would be seen";
  EXPECT_TRUE(remove_sandbox(pod).ok());
}

// The run directory is memory; a pod that filled it would stop the node (as CVE-2020-8557 did by /etc/hosts).
TEST_F(EscapeTest, WhatAPodWritesToItsSmallFilesIsOnTheDisk) {
  const auto pod = sandbox("writer");
  const auto id = run_container(pod, attacker());
  for (const std::string name : {"hostname", "hosts", "resolv.conf"}) {
    ASSERT_EQ(code(id, {"sh", "-c", "echo more >> /etc/" + name}), 0);
    EXPECT_THAT(read_file(options_.state_dir + "/sandboxes/" + pod + "/" + name).value_or(""), EndsWith("more\n"));
    EXPECT_FALSE(fs::exists(options_.run_dir + "/sandboxes/" + pod + "/" + name));
  }
  EXPECT_TRUE(remove_sandbox(pod).ok());
}

TEST_F(EscapeTest, TheNodesDiskCannotBeOpened) {
  struct stat root{};
  ASSERT_EQ(::stat("/", &root), 0);
  const auto pod = sandbox("disk");
  const auto tried = out(run_container(pod, attacker()),
                         {"escape", "disk", std::to_string(major(root.st_dev)), std::to_string(minor(root.st_dev))});
  EXPECT_EQ(tried, "mknod OK\nopen EPERM\n");  // a node can be made, as under runc; no device is behind it
  EXPECT_TRUE(remove_sandbox(pod).ok());
}

}  // namespace
}  // namespace keelson::cri
