// SPDX-License-Identifier: Apache-2.0
// What may go wrong around a node and its pods, and what must stay as it was. Short here; `./dev faults` runs it with
// 100 pods, five minutes without an API server, 50 kills, and the limits that are promised.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>

#include "common/clock.h"
#include "common/fd.h"
#include "tests/support/cluster_node_fixture.h"
#include "tests/support/cluster_pods.h"

namespace keelson::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

bool is_whole() {
  return std::getenv("KEELSON_FAULTS_WHOLE") != nullptr;
}
/// How many pods, kills or seconds: of `./dev faults`, and of a test among many.
int scale(int whole, int brief) {
  return is_whole() ? whole : brief;
}

/// Answers its probe at all times.
constexpr const char* kServer = R"({"containers": [{"name": "main", "image": "keelson.example/server:1",
  "command": ["/server", "--fail-after", "0"],
  "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1, "timeoutSeconds": 5,
  "failureThreshold": 1}}]})";
/// Ready as soon as it runs.
constexpr const char* kPlain = R"({"containers": [{"name": "main", "image": "keelson.example/server:1",
  "command": ["/server", "--fail-after", "0"]}]})";
/// Ready while it has the file /tmp/ready.
constexpr const char* kBox = R"({"containers": [{"name": "main", "image": "keelson.example/busybox:1",
  "command": ["sh", "-c", "trap 'exit 0' TERM; touch /tmp/ready; while sleep 1; do :; done"],
  "readinessProbe": {"exec": {"command": ["cat", "/tmp/ready"]}, "periodSeconds": 1, "timeoutSeconds": 5,
  "failureThreshold": 1}}]})";

struct PodState {
  std::string id, restarts, ready;
  bool operator==(const PodState&) const = default;
};
void PrintTo(const PodState& state, std::ostream* out) {
  *out << state.id << " restarts " << state.restarts << " ready " << state.ready;
}

/// Listens, and never takes a connection.
class DeafServer {
 public:
  DeafServer() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(fd_.get(), 16), 0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  int port() const { return port_; }

 private:
  Fd fd_;
  int port_ = 0;
};

class FaultsTest : public ClusterNodeTest {
 protected:
  void SetUp() override {
    ClusterNodeTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    auto pods = ClusterPods::connect(control_plane_->admin_kubeconfig());
    ASSERT_TRUE(pods) << pods.error().message();
    pods_ = *std::move(pods);
  }
  void TearDown() override {
    pods_.reset();
    ClusterNodeTest::TearDown();
  }
  std::vector<std::string> flags() const override {
    auto flags = ClusterNodeTest::flags();
    flags.insert(flags.end(), {"--cni-bin-dir", home()});
    return flags;
  }

  void start(const std::string& spec, const std::string& prefix, int count) {
    auto started = pods_->start(spec, prefix, count);
    ASSERT_TRUE(started) << started.error().message() << kubectl({"get", "pods,events"}).out << log();
  }
  std::map<std::string, PodState> states() {
    std::istringstream lines(
        kubectl({"get", "pods", "-o",
                 "jsonpath={range .items[*]}{.metadata.name}{\" \"}{range .status.containerStatuses[0]}"
                 "{.containerID}{\" \"}{.restartCount}{\" \"}{.ready}{end}{\"\\n\"}{end}"})
            .out);
    std::map<std::string, PodState> states;
    for (std::string name, id, restarts, ready; lines >> name >> id >> restarts >> ready;) {
      states[name] = {id, restarts, ready};
    }
    return states;
  }
  /// Each state of each object that a watch sees, a line each.
  Background watch(const std::string& kind, const std::string& path, const std::string& file) {
    return kubectl_in_background({"get", kind, "--watch", "-o", "jsonpath=" + path + "{\"\\n\"}"}, file);
  }
  Background watch_node() { return watch("node", "{.status.conditions[?(@.type==\"Ready\")].status}", "node.watch"); }
  /// What the watch of this file has seen.
  std::string seen(const std::string& file) const { return read_text(home() + "/" + file); }

  std::unique_ptr<ClusterPods> pods_;
};

TEST_F(FaultsTest, ADeadConnectionUnderPodsIsReplacedInTime) {
  const int count = scale(100, 10);
  ASSERT_NO_FATAL_FAILURE(start(kServer, "web", count));
  const auto before = states();
  ASSERT_EQ(before.size(), static_cast<size_t>(count));
  auto node_watch = watch_node();
  wait_until("the Lease is there", [] { return lease_age() < 10s; });
  const auto dead = connections();
  ASSERT_GE(dead.size(), 3U) << "one for the Lease, one for the Node, one for pods";
  ASSERT_NO_FATAL_FAILURE(black_hole(dead));
  const auto since = real_clock().wall();
  ASSERT_NO_FATAL_FAILURE(expect_renewed_within(20s, since));
  // And the pods' own connection.
  ASSERT_NO_FATAL_FAILURE(start(kServer, "later", 1));
  EXPECT_EQ(ready(), "True");
  auto after = states();
  after.erase("later-0");
  EXPECT_EQ(after, before);
  EXPECT_THAT(seen("node.watch"), Not(HasSubstr("False")));
}

TEST_F(FaultsTest, AnApiServerThatIsAwayTouchesNoPod) {
  ASSERT_NO_FATAL_FAILURE(start(kServer, "web", scale(98, 10)));
  ASSERT_NO_FATAL_FAILURE(start(kBox, "box", 2));
  const auto before = states();
  const auto main = process_of("box-1", "main");
  ASSERT_FALSE(main.empty());
  pods_.reset();
  control_plane_->kill_api_server();
  std::this_thread::sleep_for(std::chrono::seconds(scale(300, 12)) / 2);  // the outage itself
  ASSERT_EQ(keelson({"exec", "box-0", "--", "rm", "/tmp/ready"}).code, 0);
  ASSERT_EQ(::kill(std::stoi(main), SIGKILL), 0);
  std::this_thread::sleep_for(std::chrono::seconds(scale(300, 12)) / 2);
  control_plane_->start_api_server();

  const auto back = std::chrono::steady_clock::now();
  auto wanted = before;
  wanted["box-0"].ready = "false";
  wanted["box-1"].restarts = "1";
  std::map<std::string, PodState> now;
  wait_until(
      "all statuses are right",
      [&] {
        now = states();
        wanted["box-1"].id = now["box-1"].id;
        return now == wanted;
      },
      30s);
  fmt::print("all statuses were right {:.1f} s after the API server was back\n",
             std::chrono::duration<double>(std::chrono::steady_clock::now() - back).count());
  EXPECT_EQ(now, wanted);
  EXPECT_NE(now["box-1"].id, before.at("box-1").id);
  EXPECT_LE(std::chrono::steady_clock::now() - back, std::chrono::seconds(scale(5, 30)));
  wait_until("the Lease is renewed", [] { return lease_age() < 10s; }, 20s);
  wait_node_ready();
}

TEST_F(FaultsTest, AnAgentThatIsKilledFlipsNothing) {
  const int count = scale(30, 6);
  ASSERT_NO_FATAL_FAILURE(start(kServer, "web", count));
  ASSERT_NO_FATAL_FAILURE(start(kBox, "box", 2));
  const auto before = states();
  auto node_watch = watch_node();
  auto pod_watch = watch("pods",
                         "{.metadata.name} {.status.conditions[?(@.type==\"Ready\")].status} "
                         "{.status.containerStatuses[0].restartCount}",
                         "pods.watch");
  wait_until("the watches see all", [&] {
    const auto text = seen("pods.watch");
    return std::ranges::count(text, '\n') >= count + 2 && !seen("node.watch").empty();
  });
  std::mt19937 random(static_cast<unsigned>(::getpid()));
  for (int i = 0; i < scale(50, 4); ++i) {
    // At any moment: while it starts, while it adopts, while it probes.
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 2500));
    kill_node();
    ASSERT_NO_FATAL_FAILURE(join(flags()));
  }
  const auto renewed = lease("{.spec.renewTime}");
  wait_until("the Lease is renewed", [&] { return lease("{.spec.renewTime}") > renewed; }, 20s);
  // The last one probes; and then it is known that the watch has seen all there was to see.
  ASSERT_EQ(keelson({"exec", "box-0", "--", "rm", "/tmp/ready"}).code, 0);
  wait_until("the watch sees what is so",
             [&] { return seen("pods.watch").find("box-0 False 0\n") != std::string::npos; });
  auto wanted = before;
  wanted["box-0"].ready = "false";
  EXPECT_EQ(states(), wanted);
  auto events = seen("pods.watch");
  events = events.substr(0, events.find("box-0 False 0\n"));
  EXPECT_THAT(events, Not(HasSubstr(" False ")));
  EXPECT_THAT(events, Not(HasSubstr(" 1\n")));
  EXPECT_THAT(seen("node.watch"), Not(HasSubstr("False")));
  EXPECT_THAT(seen("node.watch"), Not(HasSubstr("Unknown")));
}

TEST_F(FaultsTest, APodThatHangsHangsAlone) {
  const auto conflist = home() + "/cni/net.d/10-keelson.conflist";
  const auto plain = read_text(conflist);
  std::ofstream(home() + "/hanging-cni") << fmt::format(
      "#!/bin/sh\ncase $CNI_COMMAND.$CNI_ARGS in ADD.*K8S_POD_NAME=stuck-network*) exec sleep 100000;; esac\nexec "
      "{}/keelson-cni\n",
      fs::absolute(std::getenv("KEELSON_BIN")).string());
  fs::permissions(home() + "/hanging-cni", fs::perms::owner_all);
  std::string hanging = plain;
  hanging.replace(hanging.find("keelson-cni"), std::string("keelson-cni").size(), "hanging-cni");
  std::ofstream(home() + "/aside") << hanging;
  fs::rename(home() + "/aside", conflist);
  DeafServer registry;
  fs::create_directories(home() + "/registry/deaf.example");
  std::ofstream(home() + "/registry/deaf.example/hosts.toml") << fmt::format(
      "server = \"http://127.0.0.1:{0}\"\n\n[host.\"http://127.0.0.1:{0}\"]\ncapabilities = [\"pull\", "
      "\"resolve\"]\n",
      registry.port());
  auto node_watch = watch_node();
  const auto stuck = [&](const std::string& name, const std::string& more,
                         const std::string& image = "keelson.example/busybox:1") {
    kubectl_ok({"create", "-f", "-"}, fmt::format(R"(apiVersion: v1
kind: Pod
metadata: {{name: stuck-{}}}
spec:
  terminationGracePeriodSeconds: 100000
  containers:
  - {{name: main, image: "{}", command: [sleep, "100000"]{}}}
)",
                                                  name, image, more));
  };
  const std::string for_ever = "exec: {command: [sleep, \"100000\"]}";
  stuck("network", "");
  stuck("pull", "", "deaf.example/some/image:1");
  stuck("start", ", lifecycle: {postStart: {" + for_ever + "}}");
  stuck("stop", ", lifecycle: {preStop: {" + for_ever + "}}");
  stuck("probe", ", readinessProbe: {" + for_ever + ", timeoutSeconds: 100000}");
  expect_soon("it runs", {"get", "pod", "stuck-stop", "-o", "jsonpath={.status.phase}"}, "Running");
  kubectl_ok({"delete", "pod", "stuck-stop", "--wait=false"});
  expect_soon("the hook began", {"get", "pod", "stuck-probe", "-o", "jsonpath={.status.phase}"}, "Running");

  std::vector<double> times;
  for (int i = 0; i < scale(100, 6); ++i) {
    const auto name = fmt::format("web-{}", i);
    auto started = pods_->start(kPlain, name, 1);
    ASSERT_TRUE(started) << started.error().message() << log();
    times.push_back(ms_between(started->front().create_sent, started->front().ready));
    auto ended = pods_->remove(name, 1);
    ASSERT_TRUE(ended) << ended.error().message() << log();
  }
  std::ranges::sort(times);
  const auto p99 = times[times.size() * 99 / 100];
  fmt::print("create -> Ready beside pods that hang: median {:.0f} ms, p99 {:.0f} ms\n", times[times.size() / 2], p99);
  EXPECT_LE(p99, scale(1'000, 20'000));
  EXPECT_EQ(ready(), "True");
  EXPECT_THAT(seen("node.watch"), Not(HasSubstr("False")));
  // They hung all the time.
  EXPECT_EQ(
      kubectl_ok({"get", "pods", "-o",
                  "jsonpath={range .items[*]}{.metadata.name} {.status.phase} "
                  "{.status.containerStatuses[0].ready}{\"\\n\"}{end}"}),
      "stuck-network Pending false\nstuck-probe Running false\nstuck-pull Pending false\nstuck-start Pending false\n"
      "stuck-stop Running true\n");
  // With the plugin mended, all of them can be ended.
  std::ofstream(home() + "/aside") << plain;
  fs::rename(home() + "/aside", conflist);
  kubectl_ok({"delete", "pods", "--all", "--grace-period=1", "--timeout=60s"});
}

}  // namespace
}  // namespace keelson::testing
