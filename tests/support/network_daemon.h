// SPDX-License-Identifier: Apache-2.0
// `keelson node --roles network` in the node of a SmallNet, with a folder, pins and a cgroup of its own.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "ebpf/testing.h"
#include "tests/support/process.h"

namespace keelson::testing {

class NetworkDaemon {
 public:
  /// Why this machine cannot run one; empty: it can.
  static std::string why_not();

  explicit NetworkDaemon(const ebpf::testing::SmallNet& net);
  /// Killed, if it runs; its files and its cgroup are gone. Pins are the test's matter.
  ~NetworkDaemon();

  /// A verb of the CLI with the flags that this daemon has: {"node", "--roles", "network"}, {"check"}. `before`: a
  /// program that runs it, with its arguments.
  std::vector<std::string> command(std::vector<std::string> verb, std::vector<std::string> before = {}) const;
  /// Starts it in the place of the one that ran, with a new log. `before`: as above.
  void launch(const std::vector<std::string>& flags = {}, const std::vector<std::string>& before = {});
  /// The same, and waits until the log says `ready`.
  void start(const std::vector<std::string>& flags = {}, const std::vector<std::string>& before = {},
             const std::string& ready = kRouted);
  /// What the log says each time that a change is in the kernel.
  static constexpr const char* kRouted = "services are routed";
  /// How often its log has `text`.
  int told(const std::string& text) const;
  /// Until its log has `text` so often; fails the test if it has not within a minute.
  void wait_for(const std::string& text, int count = 1);
  /// Writes a manifest (atomically).
  void apply(const std::string& file, const std::string& yaml);
  void remove(const std::string& file);
  /// The program of another build, from the next start on.
  void use(const std::string& binary) { binary_ = binary; }

  int stop() { return daemon_.stop(); }
  int wait() { return daemon_.wait(); }  ///< Until it ends by itself: its exit code.
  void kill() { daemon_.kill(); }
  /// False once it has ended by itself.
  bool alive() { return daemon_.alive(); }
  std::string log() const { return read_text(home_ / "log"); }
  std::string pins() const { return "/sys/fs/bpf/" + name_; }
  /// Nobody is in it: sockets are translated for who enters (ebpf::testing::CgroupGuard).
  const std::string& cgroup() const { return cgroup_; }
  const std::filesystem::path& home() const { return home_; }

 private:
  const ebpf::testing::SmallNet& net_;
  std::string name_, binary_, cgroup_;
  std::filesystem::path home_;
  Background daemon_;
};

}  // namespace keelson::testing
