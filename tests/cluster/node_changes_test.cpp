// SPDX-License-Identifier: Apache-2.0
// A node whose addresses, resources and logs change while it runs, and static pods that do not fit, by a real API
// server.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "tests/support/member_pods.h"

namespace keelson::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class NodeChangesTest : public MemberPodsTest {
 protected:
  void join_with(std::vector<std::string> flags) {
    flags.insert(flags.end(), {"--client-ca-file", control_plane_->authority_file()});
    join(std::move(flags));
    wait_node_ready();
  }
  static void set_capacity(const std::string& resource, const std::string& amount) {
    const auto done = kubectl({"patch", "node", kNode, "--subresource=status", "--type=merge", "-p",
                               fmt::format(R"({{"status":{{"capacity":{{"{}":"{}"}}}}}})", resource, amount)});
    ASSERT_EQ(done.code, 0) << done.error;
  }
  static std::string requests(const std::string& resource, int amount) {
    return fmt::format("    resources: {{requests: {{\"{}\": {}}}, limits: {{\"{}\": {}}}}}\n", resource, amount,
                       resource, amount);
  }
};

TEST_F(NodeChangesTest, ExtendedResourcesAreCountedAsTheOperatorSetsThem) {
  join_with({});
  create_pod("clusters", kRuns, requests("example.com/quota", 7));
  expect_ready("clusters");  // the node knows nothing of it
  set_capacity("example.com/dongle", "2");
  wait_until("they are allocatable", [] { return node("{.status.allocatable.example\\.com/dongle}") == "2"; });
  create_pod("one", kRuns, requests("example.com/dongle", 1));
  expect_ready("one");
  create_pod("two", kRuns, requests("example.com/dongle", 2));
  expect_soon("two", "reason", "OutOfexample.com/dongle");
  EXPECT_THAT(field("two", "message"), HasSubstr("requested: 2, used: 1, capacity: 2"));
  kill_node();
  join_with({});
  EXPECT_EQ(node("{.status.capacity.example\\.com/dongle}"), "2") << "a new life of the agent keeps it";
  create_pod("three", kRuns, requests("example.com/dongle", 1));
  expect_ready("three");
}

TEST_F(NodeChangesTest, ANewAddressReachesTheNodeAndItsPods) {
  constexpr const char* kLate = "10.250.9.9";
  join({"--node-ip", kLate, "--client-ca-file", control_plane_->authority_file(), "--node-status-update-frequency",
        "2s"});
  wait_node_ready();
  EXPECT_EQ(node("{.status.addresses}"), "") << "none, rather than one that is not the node's";
  EXPECT_THAT(whole_log(), HasSubstr("node IP: \"10.250.9.9\" not found in the host's network interfaces"));
  ASSERT_EQ(run({"ip", "address", "add", std::string(kLate) + "/32", "dev", "lo"}).code, 0);
  const std::string internal = "{.status.addresses[?(@.type==\"InternalIP\")].address}";
  wait_until("the Node has its address", [&] { return node(internal) == kLate; });
  create_pod("web", kRuns);
  expect_ready("web");
  expect_soon("web", "hostIP", kLate);
  kill_node();
  join_with({"--node-status-update-frequency", "2s"});
  wait_until("the Node has another one", [&] { return node(internal) == kAddress; });
  expect_soon("web", "hostIP", kAddress);
  ASSERT_EQ(run({"ip", "address", "delete", std::string(kLate) + "/32", "dev", "lo"}).code, 0);
}

TEST_F(NodeChangesTest, LogsAreRotatedAndFollowedOn) {
  join_with({"--container-log-max-size", "200Ki", "--container-log-max-files", "3", "--container-log-monitor-interval",
             "3s"});
  // Once it is followed, some 100 KiB a second.
  create_pod("talks",
             "i=1; echo line $i; until [ -e /tmp/followed ]; do sleep 0.1; done; while true; do i=$((i+1)); "
             "echo line $i $(head -c 900 /dev/zero | tr '\\\\0' x); [ $((i % 10)) = 0 ] && sleep 0.1; done");
  expect_ready("talks");
  Background follower(control_plane_->kubectl_command({"logs", "-f", "talks"}), home() + "/followed");
  const auto followed = [&] { return read_text(home() + "/followed"); };
  wait_until("it is followed", [&] { return followed() == "line 1\n"; });
  ASSERT_EQ(keelson({"exec", "talks", "--", "touch", "/tmp/followed"}).code, 0);
  fs::path folder;
  for (const auto& entry : fs::directory_iterator(home() + "/logs/pods")) {
    if (entry.path().filename().string().find("_talks_") != std::string::npos) {
      folder = entry.path() / "main";
    }
  }
  const auto count = [&](const std::string& end) {
    return std::ranges::count_if(fs::directory_iterator(folder),
                                 [&](const auto& entry) { return entry.path().filename().string().ends_with(end); });
  };
  std::set<std::string> rotated;
  wait_until(
      "it was rotated four times",
      [&] {
        for (const auto& entry : fs::directory_iterator(folder)) {
          const auto name = entry.path().filename().string();
          if (name.starts_with("0.log.") && !name.ends_with(".gz") && !name.ends_with(".tmp")) {
            rotated.insert(name);
          }
        }
        return rotated.size() >= 4;
      },
      180s);
  EXPECT_LE(std::ranges::distance(fs::directory_iterator(folder)), 4) << "three, and one that is being compressed";
  wait_until("one is compressed", [&] { return count(".gz") >= 1; });
  wait_until("what was rotated away was followed", [&] { return std::ranges::count(followed(), '\n') > 600; });
  follower.stop();
  const auto text = followed();
  int lines = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    if (end == std::string::npos) {
      break;
    }
    ASSERT_TRUE(text.compare(at, 5, "line ") == 0) << text.substr(at, 40);
    ASSERT_EQ(std::stoi(text.substr(at + 5, 12)), lines + 1) << "a line is missing";
    ++lines;
    at = end + 1;
  }
  EXPECT_GT(lines, 600);
}

TEST_F(NodeChangesTest, AStaticPodThatDoesNotFitIsRefused) {
  const auto manifest = [](const std::string& name) {
    return fmt::format(R"(apiVersion: v1
kind: Pod
metadata: {{name: {}}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: keelson.example/busybox:1
    command: [sh, -c, "{}"]
    ports: [{{containerPort: 80, hostPort: 8080}}]
)",
                       name, kRuns);
  };
  apply("first.yaml", manifest("first"));
  join_with({});
  expect_ready("first-member-1");
  apply("second.yaml", manifest("second"));
  expect_soon("second-member-1", "reason", "NodePorts");
  EXPECT_EQ(field("second-member-1", "phase"), "Failed");
  EXPECT_EQ(ready("first-member-1"), "True");
  remove("first.yaml");
  remove("second.yaml");
}

}  // namespace
}  // namespace keelson::testing
