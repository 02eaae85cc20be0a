// SPDX-License-Identifier: Apache-2.0
// What an attacker would try from inside a container; each line tells how one attempt ended: "OK" or the errno's name.
#include <dirent.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

namespace {

void tell(const char* what, long outcome) {
  const int error = errno;
  ::printf("%s %s\n", what, outcome >= 0 ? "OK" : ::strerrorname_np(error));
}

std::vector<std::string> names_in(const char* folder) {
  std::vector<std::string> names;
  DIR* listing = ::opendir(folder);
  while (const dirent* entry = listing != nullptr ? ::readdir(listing) : nullptr) {
    if (entry->d_name[0] != '.' && !(::dirfd(listing) == ::atoi(entry->d_name) && ::strstr(folder, "self/fd"))) {
      names.emplace_back(entry->d_name);
    }
  }
  if (listing != nullptr) {
    ::closedir(listing);
  }
  return names;
}

int forbidden_calls() {
  char buffer[64] = {};
  tell("mount", ::mount("none", "/tmp", "tmpfs", 0, nullptr));
  tell("umount", ::umount2("/proc", MNT_DETACH));
  tell("bpf", ::syscall(SYS_bpf, BPF_MAP_CREATE, buffer, sizeof buffer));
  tell("open_by_handle_at", ::syscall(SYS_open_by_handle_at, AT_FDCWD, buffer, O_RDONLY));
  tell("kexec_load", ::syscall(SYS_kexec_load, 0, 0, nullptr, 0));
  tell("init_module", ::syscall(SYS_init_module, buffer, sizeof buffer, ""));
  tell("keyctl", ::syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0));
  tell("perf_event_open", ::syscall(SYS_perf_event_open, buffer, 0, -1, -1, 0));
  tell("userfaultfd", ::syscall(SYS_userfaultfd, 0));
  tell("reboot", ::syscall(SYS_reboot, 0, 0, 0, nullptr));
  tell("swapon", ::syscall(SYS_swapon, "/tmp/x", 0));
  tell("setns", ::syscall(SYS_setns, ::open("/proc/self/ns/net", O_RDONLY), 0));
  tell("unshare", ::unshare(CLONE_NEWUSER));
  return 0;
}

int descriptors() {
  for (const auto& name : names_in("/proc/self/fd")) {
    ::printf("%s\n", name.c_str());
  }
  return 0;
}

/// CVE-2019-5736: holds on to any program that is not ours, and opens it for writing when nobody runs it any more.
int overwrite(int seconds) {
  struct stat ours{};
  ::stat("/proc/self/exe", &ours);
  std::vector<int> held;
  long written = 0;
  long on_writable_mounts = 0;
  for (const auto end = ::time(nullptr) + seconds; ::time(nullptr) < end;) {
    for (const auto& name : names_in("/proc")) {
      struct stat theirs{};
      const int fd = ::open(("/proc/" + name + "/exe").c_str(), O_RDONLY | O_CLOEXEC);
      const bool foreign = fd >= 0 && ::fstat(fd, &theirs) == 0 && theirs.st_size != ours.st_size;
      const bool busybox = foreign && ::access(("/proc/" + name + "/root/bin/busybox").c_str(), F_OK) == 0 && [&] {
        struct stat box{};
        return ::stat("/bin/busybox", &box) == 0 && box.st_size == theirs.st_size;
      }();
      if (foreign && !busybox && held.size() < 64) {
        held.push_back(fd);
        struct statvfs mount{};  // while somebody runs it, a write is refused in any case
        on_writable_mounts += ::fstatvfs(fd, &mount) == 0 && (mount.f_flag & ST_RDONLY) != 0 ? 0 : 1;
      } else if (fd >= 0) {
        ::close(fd);
      }
    }
    for (const int fd : held) {
      const int writable = ::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_WRONLY | O_CLOEXEC);
      if (writable >= 0) {
        ++written;
        ::close(writable);
      }
    }
  }
  ::printf("held %zu writable %ld\n", held.size(), written + on_writable_mounts);
  return 0;
}

/// Exchanges a folder and a link for ever.
int flip(const char* one, const char* other) {
  for (;;) {
    ::syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, other, 2 /* RENAME_EXCHANGE */);
  }
}

int trace(const std::string& pid) {
  const auto process = "/proc/" + pid;
  char byte = 0;
  iovec local{&byte, 1};
  iovec remote{reinterpret_cast<void*>(0x400000), 1};
  tell("memory", ::open((process + "/mem").c_str(), O_RDWR));
  tell("read", ::syscall(SYS_process_vm_readv, ::atoi(pid.c_str()), &local, 1, &remote, 1, 0));
  tell("root", ::open((process + "/root/.").c_str(), O_RDONLY | O_DIRECTORY));
  tell("descriptors", ::readlink((process + "/fd/0").c_str(), &byte, 1));
  tell("environment", ::open((process + "/environ").c_str(), O_RDONLY));
  tell("attach", ::ptrace(PTRACE_SEIZE, ::atoi(pid.c_str()), nullptr, nullptr));
  return 0;
}

/// Looks for `path` below the root of every process that can be seen, as fast as it can.
int roots(int seconds, const std::string& path) {
  long found = 0;
  long seen = 0;
  for (const auto end = ::time(nullptr) + seconds; ::time(nullptr) < end;) {
    for (const auto& pid : names_in("/proc")) {
      const auto root = "/proc/" + pid + "/root";
      seen += ::atoi(pid.c_str()) > 0 && ::access((root + "/.").c_str(), F_OK) == 0 ? 1 : 0;
      found += ::atoi(pid.c_str()) > 0 && ::access((root + path).c_str(), F_OK) == 0 ? 1 : 0;
    }
  }
  ::printf("seen %s found %ld\n", seen > 0 ? "some" : "none", found);
  return 0;
}

/// Every descriptor of every other process that can be seen: "PID NUMBER TARGET".
int others() {
  for (const auto& pid : names_in("/proc")) {
    const auto folder = "/proc/" + pid + "/fd";
    if (::atoi(pid.c_str()) <= 0 || ::atoi(pid.c_str()) == ::getpid()) {
      continue;
    }
    for (const auto& name : names_in(folder.c_str())) {
      char target[4096] = {};
      if (::readlink((folder + "/" + name).c_str(), target, sizeof target - 1) > 0) {
        ::printf("%s %s %s\n", pid.c_str(), name.c_str(), target);
      }
    }
  }
  return 0;
}

/// CVE-2022-0492.
int release_agent() {
  ::mkdir("/tmp/cgroup", 0755);
  const bool mounted = ::mount("cgroup", "/tmp/cgroup", "cgroup", 0, "memory") == 0;
  tell("mount", mounted ? 0 : -1);
  const int mine = mounted ? ::open("/tmp/cgroup/release_agent", O_WRONLY) : -1;
  tell("open", mine);
  tell("write", mine < 0 ? -1 : ::write(mine, "/tmp/agent", 10));
  tell("theirs", ::open("/sys/fs/cgroup/memory/release_agent", O_WRONLY));
  return 0;
}

int disk(unsigned major_number, unsigned minor_number) {
  tell("mknod", ::mknod("/tmp/disk", S_IFBLK | 0600, ::makedev(major_number, minor_number)));
  tell("open", ::open("/tmp/disk", O_RDONLY));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "calls") {
    return forbidden_calls();
  }
  if (what == "descriptors") {
    return descriptors();
  }
  if (what == "overwrite" && argc == 3) {
    return overwrite(::atoi(argv[2]));
  }
  if (what == "flip" && argc == 4) {
    return flip(argv[2], argv[3]);
  }
  if (what == "trace" && argc == 3) {
    return trace(argv[2]);
  }
  if (what == "roots" && argc == 4) {
    return roots(::atoi(argv[2]), argv[3]);
  }
  if (what == "others") {
    return others();
  }
  if (what == "release-agent") {
    return release_agent();
  }
  if (what == "disk" && argc == 4) {
    return disk(static_cast<unsigned>(::atoi(argv[2])), static_cast<unsigned>(::atoi(argv[3])));
  }
  ::fprintf(stderr,
            "usage: escape calls|descriptors|overwrite S|flip A B|trace PID|roots S PATH|others|release-agent|disk MAJ "
            "MIN\n");
  return 2;
}
