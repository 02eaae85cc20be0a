// SPDX-License-Identifier: Apache-2.0
// For tests: real containers of busybox in a real sandbox, through the shim's own binary.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cri/shim/client.h"

namespace keelson::cri::shim {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

inline std::string text_of(const std::string& path) {
  std::ifstream in(path);
  std::stringstream all;
  all << in.rdbuf();
  return all.str();
}

inline size_t lines_with(const std::string& text, const std::string& word) {
  size_t count = 0;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    count += line.find(word) != std::string::npos ? 1 : 0;
  }
  return count;
}

/// The log without times and stream names.
inline std::string plain_log(const std::string& path) {
  std::string out;
  std::istringstream in(text_of(path));
  for (std::string line; std::getline(in, line);) {
    auto flag = line.find(' ', line.find(' ') + 1);
    out += line.substr(flag + 3) + "\n";
  }
  return out;
}

/// User and system time of a process, in ticks of 10 ms.
inline long cpu_ticks(pid_t pid) {
  auto stat = text_of("/proc/" + std::to_string(pid) + "/stat");
  std::istringstream in(stat.substr(stat.rfind(')') + 2));
  std::string skipped;
  for (int field = 3; field < 14; ++field) {
    in >> skipped;
  }
  long user = 0;
  long system = 0;
  in >> user >> system;
  return user + system;
}

class ShimTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "SKIP: needs root (namespaces, mounts)";
    }
    if (!fs::exists("/bin/busybox")) {
      GTEST_SKIP() << "SKIP: needs busybox-static";
    }
    const char* bin = ::getenv("KEELSON_BIN");
    shim_ = std::string(bin != nullptr ? bin : "build/bin") + "/keelson-shim";
    std::string pattern = "/tmp/keelson-shim-test-XXXXXX";
    dir_ = ::mkdtemp(pattern.data());
    fs::create_directories(dir_ + "/layer/bin");
    fs::create_directories(dir_ + "/layer/etc");
    fs::copy("/bin/busybox", dir_ + "/layer/bin/busybox");
    for (const char* applet :
         {"sh",   "cat",      "ls",   "echo", "sleep", "true", "id",   "hostname", "touch", "mount", "ps",
          "grep", "readlink", "kill", "head", "tr",    "pwd",  "stty", "mkdir",    "wc",    "dd",    "yes"}) {
      fs::create_symlink("busybox", dir_ + "/layer/bin/" + applet);
    }
    std::ofstream(dir_ + "/layer/etc/passwd") << "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/home/web:/bin/sh\n";
    std::ofstream(dir_ + "/layer/etc/group") << "root:x:0:\nweb:x:34:\nlogs:x:50:web\n";
    mounts_before_ = lines_with(text_of("/proc/self/mountinfo"), dir_);
  }

  void TearDown() override {
    if (dir_.empty()) {
      return;
    }
    if (client_) {
      EXPECT_TRUE(client_->shutdown());
    }
    EXPECT_EQ(lines_with(text_of("/proc/self/mountinfo"), dir_), mounts_before_) << "a mount was left";
    EXPECT_FALSE(fs::exists(dir_ + "/netns"));
    fs::remove_all(dir_);
  }

  std::string hostname_ = "pod-name";
  std::vector<IdMapping> mappings_;  ///< of users and of groups

  SandboxSpec sandbox(NamespaceMode pid) {
    SandboxSpec spec;
    spec.id = "sandbox";
    spec.run_dir = dir_ + "/run";
    spec.hostname = hostname_;
    spec.netns_pin = dir_ + "/netns";
    spec.pid = pid;
    spec.uid_mappings = spec.gid_mappings = mappings_;
    spec.sysctls = {{"net.ipv4.ip_unprivileged_port_start", "80"}};
    return spec;
  }

  void launch(NamespaceMode pid = NamespaceMode::container) {
    fs::create_directories(dir_ + "/run");
    const auto spec = sandbox(pid);
    auto client = ShimClient::launch(shim_, spec, 60s);
    ASSERT_TRUE(client) << client.error().message();
    client_ = std::move(*client);
    auto events = ShimClient::connect(dir_ + "/run", 60s);
    ASSERT_TRUE(events) << events.error().message();
    events_ = std::move(*events);
    ASSERT_TRUE(events_->subscribe());
  }

  ContainerSpec container(const std::string& id, std::vector<std::string> args) {
    ContainerSpec spec;
    spec.id = id;
    spec.process.args = std::move(args);
    spec.process.env = {"PATH=/bin", "NAME=value"};
    auto& caps = spec.process.capabilities;
    caps.bounding = caps.permitted = caps.effective = 0x00000000a80425fb;  // containerd's default set
    spec.lower_dirs = {dir_ + "/layer"};
    for (const char* part : {"upper", "work", "rootfs"}) {
      fs::create_directories(dir_ + "/" + id + "/" + part);
    }
    spec.upper_dir = dir_ + "/" + id + "/upper";
    spec.work_dir = dir_ + "/" + id + "/work";
    spec.rootfs_dir = dir_ + "/" + id + "/rootfs";
    spec.log_path = dir_ + "/logs/" + id + ".log";
    auto filesystem = [](const char* type, const char* target, uint64_t flags, const char* data) {
      Mount mount;
      mount.kind = MountKind::filesystem;
      mount.source = type;
      mount.type = type;
      mount.target = target;
      mount.flags = flags;
      mount.data = data;
      return mount;
    };
    spec.mounts = {filesystem("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, ""),
                   filesystem("tmpfs", "/dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"),
                   filesystem("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"),
                   filesystem("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, "")};
    spec.devices = {{.path = "/dev/null", .type = S_IFCHR, .major = 1, .minor = 3}};
    spec.masked_paths = {"/proc/timer_list", "/proc/scsi", "/sys/firmware"};
    spec.read_only_paths = {"/proc/sys", "/proc/bus"};
    return spec;
  }

  /// Creates, starts, waits for the end; the exit status.
  ProcessStatus run(const ContainerSpec& spec) {
    auto created = client_->create(spec);
    EXPECT_TRUE(created) << created.error().message();
    auto started = client_->start(spec.id);
    EXPECT_TRUE(started) << started.error().message();
    return wait_exit(spec.id, "");
  }

  ProcessStatus wait_exit(const std::string& container_id, const std::string& exec_id) {
    for (;;) {
      auto event = events_->next_event(60s);
      if (!event) {
        ADD_FAILURE() << "no exit of " << container_id << ": " << event.error().message();
        return {};
      }
      if (event->status.container_id == container_id && event->status.exec_id == exec_id) {
        return event->status;
      }
    }
  }

  std::string output(const std::string& id) { return plain_log(dir_ + "/logs/" + id + ".log"); }

  /// What a shell command prints in a new container.
  std::string shell(const std::string& id, const std::string& command) {
    run(container(id, {"sh", "-c", command}));
    return output(id);
  }

  std::string dir_;
  std::string shim_;
  size_t mounts_before_ = 0;
  std::unique_ptr<ShimClient> client_;
  std::unique_ptr<ShimClient> events_;
};

}  // namespace keelson::cri::shim
