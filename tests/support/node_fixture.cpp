// SPDX-License-Identifier: Apache-2.0
// The node under test, and counting what it made.
#include "tests/support/node_fixture.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include <boost/json/parse.hpp>

namespace keelson::testing {

namespace fs = std::filesystem;

namespace {

size_t count_lines(const std::string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

std::string environment(const char* name, const std::string& otherwise) {
  const char* value = ::getenv(name);
  return value != nullptr ? value : otherwise;
}

constexpr const char* kStatuses = "/status/containerStatuses";

/// The list at a JSON pointer; empty if there is none.
boost::json::array list_at(const boost::json::value& value, std::string_view pointer) {
  boost::system::error_code error;
  const auto* list = value.find_pointer(pointer, error);
  return list != nullptr && list->is_array() ? list->get_array() : boost::json::array();
}

/// Clock ticks between boot and the process' start (proc_pid_stat(5) field 22).
uint64_t start_time(const fs::path& process) {
  auto text = read_text(process / "stat");
  std::istringstream rest(text.substr(std::min(text.rfind(')') + 1, text.size())));
  std::string word;
  for (int field = 3; field <= 22; ++field) {
    rest >> word;
  }
  return std::strtoull(word.c_str(), nullptr, 10);
}

/// The oldest process in a cgroup that has `id` in its name.
std::string first_process_in(const std::string& id) {
  std::string oldest;
  uint64_t oldest_start = UINT64_MAX;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    auto pid = entry.path().filename().string();
    if (pid.find_first_not_of("0123456789") != std::string::npos ||
        read_text(entry.path() / "cgroup").find(id) == std::string::npos) {
      continue;
    }
    if (auto start = start_time(entry.path()); start != 0 && start < oldest_start) {
      oldest = pid;
      oldest_start = start;
    }
  }
  return oldest;
}

}  // namespace

void PrintTo(const Inventory& i, std::ostream* out) {
  *out << fmt::format("processes {} mounts {} netns {} links {} routes {} cgroups {} addresses {} files {}",
                      i.processes, i.mounts, i.namespaces, i.links, i.routes, i.cgroups, i.addresses, i.files);
}

NodeTest::NodeTest() : bin_(environment("KEELSON_BIN", "build/bin")) {
  std::string pattern = "/tmp/keelson-e2e-XXXXXX";
  home_ = ::mkdtemp(pattern.data());
  // A /24 of its own out of 10.242.0.0/16, so that tests at the same time do not share addresses.
  subnet_ = fmt::format("10.242.{}", ::getpid() % 250);
}

NodeTest::~NodeTest() {
  // What a failed test left mounted stays; TearDown has told of it.
  std::error_code ignored;
  fs::remove_all(home_, ignored);
}

void NodeTest::SetUp() {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "SKIP: needs root (namespaces, mounts, cgroups)";
  }
  fs::create_directories(home_ + "/manifests");
  fs::create_directories(home_ + "/images");
  fs::create_directories(home_ + "/registry");
  fs::create_directories(home_ + "/cni/net.d");
  std::ofstream(home_ + "/cni/net.d/10-keelson.conflist") << fmt::format(
      R"({{"cniVersion":"1.1.0","name":"e2e","plugins":[{{"type":"keelson-cni","dataDir":"{}/cni/data","ranges":["{}.0/24"]}}]}})",
      home_, subnet_);
  before_ = inventory();
}

void NodeTest::TearDown() {
  if (::geteuid() != 0) {
    return;
  }
  stop_node();
  expect_inventory(before_);
}

void NodeTest::expect_inventory(const Inventory& wanted) {
  // The kernel lets go of links and namespaces a moment after they were given up.
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (inventory() != wanted && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_EQ(inventory(), wanted) << "something was left behind";
}

void NodeTest::spawn_node(const std::vector<std::string>& more_flags) {
  std::vector<std::string> command = {bin_ + "/keelson", "--run", home_ + "/run", "node", "--root", home_ + "/root",
                                      "--manifests", home_ + "/manifests", "--cni-conf-dir", home_ + "/cni/net.d",
                                      "--cni-bin-dir", bin_, "--cni-bin-dir", "/usr/lib/cni", "--pod-logs-dir",
                                      home_ + "/logs/pods", "--container-logs-dir", home_ + "/logs/containers",
                                      "--cgroup-root", cgroup_root(), "--remove-pods-on-exit",
                                      // The machine of a test is somebody's.
                                      "--set-kernel-defaults=false", "--fail-swap-on=false", "--image-archives",
                                      home_ + "/images", "--registry-config-dir", home_ + "/registry"};
  command.insert(command.end(), more_flags.begin(), more_flags.end());
  node_ = Background(command, home_ + "/node.log");
}

void NodeTest::start_node(const std::vector<std::string>& more_flags) {
  spawn_node(more_flags);
  wait_until("the node answers", [this] { return keelson({"get", "pods", "-A", "-o", "json"}).code == 0; });
}

void NodeTest::start_runtime(const std::vector<std::string>& more_flags) {
  std::vector<std::string> flags = {"--roles", "runtime"};
  flags.insert(flags.end(), more_flags.begin(), more_flags.end());
  spawn_node(flags);
  wait_until("the runtime listens", [this] { return takes_connections(runtime_socket()); });
}

void NodeTest::kill_node() {
  node_.kill();
}

void NodeTest::stop_node() {
  EXPECT_EQ(node_.stop(), 0) << log();
}

void NodeTest::apply(const std::string& file, const std::string& yaml) {
  std::ofstream(home_ + "/manifests/." + file) << yaml;
  fs::rename(home_ + "/manifests/." + file, home_ + "/manifests/" + file);
}

void NodeTest::remove(const std::string& file) {
  fs::remove(home_ + "/manifests/" + file);
}

Output NodeTest::keelson(const std::vector<std::string>& arguments, const std::string& input) {
  // A call that hangs fails (124) instead of hanging the tests.
  std::vector<std::string> command = {"timeout", "60", bin_ + "/keelson", "--run", home_ + "/run"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run(command, input);
}

boost::json::value NodeTest::pod(const std::string& name) {
  auto got = keelson({"get", "pod", name, "-o", "json"});
  return got.code == 0 ? boost::json::parse(got.out) : boost::json::value();
}

void NodeTest::wait_until(const std::string& what, const std::function<bool()>& condition, std::chrono::seconds limit) {
  auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    bool alive = node_.pid() < 0 || node_.alive();
    if (!alive || std::chrono::steady_clock::now() > end) {
      FAIL() << what << (alive ? ": not after " + std::to_string(limit.count()) + " s\n" : ": the node ended\n")
             << keelson({"get", "pods", "-A", "-o", "wide"}).out << keelson({"events", "-A"}).out << log();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

void NodeTest::wait_ready(const std::string& name, std::chrono::seconds limit) {
  wait_until(
      "pod " + name + " is ready",
      [&] {
        for (const auto& condition : list_at(pod(name), "/status/conditions")) {
          if (condition.at("type") == "Ready" && condition.at("status") == "True") {
            return true;
          }
        }
        return false;
      },
      limit);
}

void NodeTest::wait_gone(const std::string& name, std::chrono::seconds limit) {
  wait_until("pod " + name + " is gone", [&] { return !pod(name).is_object(); }, limit);
}

std::string NodeTest::process_of(const std::string& pod_name, const std::string& container) {
  for (const auto& status : list_at(pod(pod_name), kStatuses)) {
    const auto* id = status.as_object().if_contains("containerID");
    if (status.at("name") == boost::json::value(container) && id != nullptr && id->is_string() &&
        !id->get_string().empty()) {
      std::string text(id->get_string());
      return first_process_in(text.substr(text.rfind('/') + 1));
    }
  }
  return "";
}

int NodeTest::restarts(const std::string& pod_name) {
  int64_t count = 0;
  for (const auto& status : list_at(pod(pod_name), kStatuses)) {
    const auto* restarts = status.as_object().if_contains("restartCount");
    count += restarts != nullptr ? restarts->to_number<int64_t>() : 0;
  }
  return static_cast<int>(count);
}

std::string NodeTest::cgroup_root() const {
  return "/" + fs::path(home_).filename().string();
}

std::string NodeTest::whole_log() const {
  return read_text(home_ + "/node.log");
}

std::string NodeTest::log() const {
  auto text = whole_log();
  return text.size() > 8000 ? "..." + text.substr(text.size() - 8000) : text;
}

Inventory NodeTest::inventory() const {
  Inventory found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    auto pid = entry.path().filename().string();
    if (pid.find_first_not_of("0123456789") == std::string::npos &&
        (read_text(entry.path() / "cmdline").find(home_) != std::string::npos ||
         read_text(entry.path() / "cgroup").find(cgroup_root()) != std::string::npos)) {
      ++found.processes;
    }
  }
  std::istringstream mounts(read_text("/proc/self/mountinfo"));
  for (std::string line; std::getline(mounts, line);) {
    found.mounts += line.find(home_) != std::string::npos ? 1 : 0;
  }
  for (const auto& entry : fs::directory_iterator(home_ + "/run/runtime/netns", ignored)) {
    found.namespaces += entry.exists() ? 1 : 0;
  }
  // Every pod link of ours has our gateway's address on the node's end; others may run nodes here too.
  found.links = count_lines(run({"ip", "-o", "address", "show", "to", subnet_ + ".1"}).out);
  found.routes = count_lines(run({"ip", "route", "show", subnet_ + ".0/24"}).out) +
                 count_lines(run({"ip", "route", "show", "root", subnet_ + ".0/24"}).out);
  for (const auto& hierarchy : fs::directory_iterator("/sys/fs/cgroup", ignored)) {
    auto root = hierarchy.path().string() + cgroup_root();
    if (fs::exists(root)) {
      // One that goes while it is looked at ends the walk with an error, and is not taken for the last one.
      std::error_code gone;
      for (fs::recursive_directory_iterator it(root, gone), end; it != end; it.increment(gone)) {
        found.cgroups += it->is_directory(ignored) ? 1 : 0;
      }
      found.cgroups += gone ? 1 : 0;
    }
  }
  auto ipam = run({bin_ + "/keelson-cni", "--list", home_ + "/cni/data/e2e.leases"});
  EXPECT_EQ(ipam.code, 0) << ipam.error;
  found.addresses = count_lines(ipam.out);
  for (const auto& file : fs::directory_iterator(fmt::format("/proc/{}/fd", node_.pid()), ignored)) {
    found.files += file.path().empty() ? 0 : 1;
  }
  return found;
}

}  // namespace keelson::testing
