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
  /// Returns once the log says `ready`; fails the test if it does not within 20 s.
  void start(const std::vector<std::string>& flags = {}, const std::vector<std::string>& before = {},
             const std::string& ready = "services are routed");
  /// Until its log has `text` so often.
  void wait_for(const std::string& text, int count = 1);
  /// Writes a manifest (atomically).
  void apply(const std::string& file, const std::string& yaml);

  int stop() { return daemon_.stop(); }
  int wait() { return daemon_.wait(); }  ///< Until it ends by itself: its exit code.
  void kill() { daemon_.kill(); }
  std::string log() const { return read_text(home_ / "log"); }
  std::string pins() const { return "/sys/fs/bpf/" + name_; }
  const std::string& cgroup() const { return cgroup_; }
  const std::filesystem::path& home() const { return home_; }

 private:
  const ebpf::testing::SmallNet& net_;
  std::string name_, cgroup_;
  std::filesystem::path home_;
  Background daemon_;
};

}  // namespace keelson::testing
