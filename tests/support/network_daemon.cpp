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
    : net_(net), name_("kl-network-" + std::to_string(getpid())), home_(fs::temp_directory_path() / name_) {
  cgroup_ = *ebpf::cgroup2_root() + "/" + name_;
  fs::create_directories(cgroup_);
  fs::create_directories(home_ / "manifests");
}

NetworkDaemon::~NetworkDaemon() {
  daemon_.kill();
  std::error_code ignored;
  fs::remove(cgroup_, ignored);
  fs::remove_all(home_, ignored);
}

std::vector<std::string> NetworkDaemon::command(std::vector<std::string> verb, std::vector<std::string> before) const {
  std::vector<std::string> words = {"nsenter", "--net=" + net_.path("node")};
  words.insert(words.end(), before.begin(), before.end());
  words.insert(words.end(), {std::string(getenv("KEELSON_BIN")) + "/keelson", "--run", home_ / "run"});
  words.insert(words.end(), verb.begin(), verb.end());
  words.insert(words.end(), {"--node-name", "here", "--root", home_ / "root", "--manifests", home_ / "manifests",
                             "--bpf-dir", pins(), "--socket-cgroup", cgroup_, "--uplinks", "eth0"});
  return words;
}

void NetworkDaemon::start(const std::vector<std::string>& flags, const std::vector<std::string>& before,
                          const std::string& ready) {
  std::vector<std::string> verb = {"node", "--roles", "network"};
  verb.insert(verb.end(), flags.begin(), flags.end());
  std::error_code ignored;
  fs::remove(home_ / "log", ignored);
  daemon_ = Background(command(verb, before), home_ / "log");
  wait_for(ready);
}

void NetworkDaemon::wait_for(const std::string& text, int count) {
  auto found = [&] {
    auto all = log();
    int times = 0;
    for (size_t at = 0; (at = all.find(text, at)) != all.npos; at += text.size()) {
      times++;
    }
    return times;
  };
  for (int i = 0; i < 2000 && found() < count; i++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ASSERT_GE(found(), count) << "'" << text << "' in:\n" << log();
}

void NetworkDaemon::apply(const std::string& file, const std::string& yaml) {
  std::ofstream(home_ / ("." + file)) << yaml;
  fs::rename(home_ / ("." + file), home_ / "manifests" / file);
}

}  // namespace keelson::testing
