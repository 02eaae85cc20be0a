// SPDX-License-Identifier: Apache-2.0
// proxy.h: `keelson node --roles network` on a folder with one file an object.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include <boost/json/serialize.hpp>

#include "ebpf/testing.h"
#include "tests/services/objects.h"
#include "tests/services/proxy.h"
#include "tests/services/sync_turns.h"
#include "tests/support/process.h"

namespace keelson::services {
namespace {

namespace fs = std::filesystem;
using keelson::testing::Background;
using keelson::testing::read_text;

constexpr const char* kMarker = "10.96.255.253";
constexpr auto kPatience = std::chrono::seconds(120);

class Ours : public Proxy {
 public:
  Ours(World& world, const Group& group, Hooks hooks) : world_(world), group_(group), hooks_(hooks) {
    name_ = fmt::format("kl-scenarios-{}", getpid());
    home_ = fs::temp_directory_path() / name_;
    fs::remove_all(home_);
    fs::create_directories(home_ / "manifests");
    world_.set_pods_seen(hooks_ != Hooks::packets);
    if (hooks_ == Hooks::xdp) {
      world_.make_uplink_a_wire();
    }
  }
  ~Ours() override { fs::remove_all(home_); }

  void apply(const std::vector<json::object>& objects) override {
    for (const auto& object : objects) {
      auto file = file_of(object), hidden = "." + file;
      std::ofstream(home_ / hidden) << json::serialize(object);
      fs::rename(home_ / hidden, home_ / "manifests" / file);
    }
  }
  void remove(const std::vector<json::object>& objects) override {
    for (const auto& object : objects) {
      fs::remove(home_ / "manifests" / file_of(object));
    }
  }
  void sync() override {
    turns_.wait([&] { look(); });
  }

  void start() override {
    std::string home = home_.string();
    std::vector<std::string> command = {"nsenter",
                                        "--net=" + world_.netns("node"),
                                        std::string(getenv("KEELSON_BIN")) + "/keelson",
                                        "--run",
                                        home + "/run",
                                        "node",
                                        "--roles",
                                        "network",
                                        "--node-name",
                                        "node",
                                        "--root",
                                        home + "/root",
                                        "--manifests",
                                        home + "/manifests",
                                        "--bpf-dir",
                                        pins(),
                                        "--socket-cgroup",
                                        world_.cgroup(),
                                        "--topology-zone",
                                        "z1"};
    command.insert(command.end(), group_.flags.begin(), group_.flags.end());
    if (hooks_ == Hooks::xdp) {
      command.push_back("--xdp");
    }
    auto before = read_text(log()).size();
    daemon_ = Background(command, log());
    // Links get their programs after sockets do.
    wait_for("services are routed",
             [&] { return read_text(log()).find("services are routed", before) != std::string::npos; });
    sync();
  }
  void stop() override { EXPECT_EQ(daemon_.stop(), 0) << read_text(log()); }
  void kill() override { daemon_.kill(); }
  void clean_up() override {
    stop();
    auto removed =
        remove_tree(pins());  // with its pins a program is gone; that the daemon can do so, too, is tested in e2e
    EXPECT_TRUE(removed) << removed.error().message();
    if (::testing::Test::HasFailure()) {
      std::fputs(read_text(log()).c_str(), stderr);
    }
  }

 private:
  std::string pins() const { return "/sys/fs/bpf/" + name_; }
  std::string log() const { return (home_ / "log").string(); }
  static std::string file_of(const json::object& object) {
    const auto& about = object.at("metadata").as_object();
    return fmt::format("{}.{}.{}.json", std::string(object.at("kind").as_string()),
                       std::string(about.at("namespace").as_string()), std::string(about.at("name").as_string()));
  }

  // A service whose port is another each time, and that has an endpoint only if its slice has been seen, too.
  void look() {
    int number = ++number_;
    apply(expand(YAML::Load(fmt::format("services: {{marker: {{clusterIP: {0}, clusterIPs: [{0}], ports: [{{name: "
                                        "m{1}, port: {1}}}]}}}}\nslices: {{marker: {{ports: [{{name: m{1}, port: "
                                        "8080}}], endpoints: [node]}}}}",
                                        kMarker, number)),
                 "sync", 4));
    wait_for("a change of objects", [&] { return answers(static_cast<uint16_t>(number)); });
  }
  template <class Condition>
  void wait_for(const char* what, Condition condition) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end || !daemon_.alive()) {
        FAIL() << "waited for " << what << " in vain: " << read_text(log());
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  bool answers(uint16_t port) {
    auto socket = world_.socket("node", AF_INET, SOCK_STREAM);
    auto to = ebpf::testing::Sockaddr::of(kMarker, port);
    if (::connect(socket.get(), to.get(), to.size) != 0 && errno != EINPROGRESS) {
      return false;
    }
    pollfd one{socket.get(), POLLIN, 0};
    char byte;
    return poll(&one, 1, 50) == 1 && recv(socket.get(), &byte, 1, 0) == 1;
  }

  World& world_;
  Group group_;
  Hooks hooks_;
  std::string name_;
  fs::path home_;
  Background daemon_;
  SyncTurns turns_;
  int number_ = 0;
};

}  // namespace

std::unique_ptr<Proxy> make_ours(World& world, const Group& group, Hooks hooks) {
  return std::make_unique<Ours>(world, group, hooks);
}

}  // namespace keelson::services
