// SPDX-License-Identifier: Apache-2.0
#include "tests/support/network_daemon.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "ebpf/node_links.h"

namespace keelson::testing {

namespace fs = std::filesystem;

std::string NetworkDaemon::why_not() {
  if (auto reason = ebpf::testing::why_not(); !reason.empty()) {
    return reason;
  }
  auto root = ebpf::cgroup2_root();
  return root ? "" : root.error().message();
}

NetworkDaemon::NetworkDaemon(const ebpf::testing::SmallNet& net)
    : net_(net),
      name_("kl-network-" + std::to_string(getpid())),
      binary_(std::string(getenv("KEELSON_BIN")) + "/keelson"),
      home_(fs::temp_directory_path() / name_) {
  cgroup_ = *ebpf::cgroup2_root() + "/" + name_;
  fs::create_directories(cgroup_);
  fs::create_directories(home_ / "manifests");
}

NetworkDaemon::~NetworkDaemon() {
  daemon_.kill();
  std::error_code error;
  fs::remove(cgroup_, error);
  EXPECT_FALSE(error) << cgroup_ << " is in use: " << error.message();
  fs::remove_all(home_, error);
}

std::vector<std::string> NetworkDaemon::command(std::vector<std::string> verb, std::vector<std::string> before) const {
  std::vector<std::string> words = {"nsenter", "--net=" + net_.path("node")};
  words.insert(words.end(), before.begin(), before.end());
  words.insert(words.end(), {binary_, "--run", home_ / "run"});
  words.insert(words.end(), verb.begin(), verb.end());
  words.insert(words.end(), {"--node-name", "here", "--root", home_ / "root", "--manifests", home_ / "manifests",
                             "--bpf-dir", pins(), "--socket-cgroup", cgroup_});
  return words;
}

void NetworkDaemon::launch(const std::vector<std::string>& flags, const std::vector<std::string>& before) {
  std::vector<std::string> verb = {"node", "--roles", "network"};
  verb.insert(verb.end(), flags.begin(), flags.end());
  std::error_code ignored;
  daemon_.kill();
  fs::remove(home_ / "log", ignored);
  daemon_ = Background(command(verb, before), home_ / "log");
}

void NetworkDaemon::start(const std::vector<std::string>& flags, const std::vector<std::string>& before,
                          const std::string& ready) {
  launch(flags, before);
  wait_for(ready);
}

int NetworkDaemon::told(const std::string& text) const {
  auto all = log();
  int times = 0;
  for (size_t at = 0; (at = all.find(text, at)) != all.npos; at += text.size()) {
    times++;
  }
  return times;
}

void NetworkDaemon::wait_for(const std::string& text, int count) {
  for (int i = 0; i < 6000 && told(text) < count; i++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ASSERT_GE(told(text), count) << "'" << text << "' in:\n" << log();
}

void NetworkDaemon::apply(const std::string& file, const std::string& yaml) {
  std::ofstream(home_ / ("." + file)) << yaml;
  fs::rename(home_ / ("." + file), home_ / "manifests" / file);
}

void NetworkDaemon::remove(const std::string& file) {
  fs::remove(home_ / "manifests" / file);
}

}  // namespace keelson::testing
