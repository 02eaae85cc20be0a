// SPDX-License-Identifier: Apache-2.0
// Our client of the API server, on a real one: pages, watches, a restart under the watch, and what it may not do.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <set>
#include <sstream>

#include "common/task_group.h"
#include "kube/client/known_servers.h"
#include "kube/client/watch.h"
#include "tests/support/control_plane.h"

namespace keelson::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr const char* kNode = "client-node";

/// What a consumer has made of one kind.
template <class T>
struct Mirror {
  std::map<std::string, T> objects;
  int synced = 0;
  std::vector<std::string> failures;
  std::vector<std::string> left_out;

  kube::WatchConsumer<T> consumer() {
    return {.synced =
                [this](std::vector<T> all) {
                  ++synced;
                  objects.clear();
                  for (T& object : all) {
                    auto name = kube::full_name(object.metadata);
                    EXPECT_TRUE(objects.empty() || objects.rbegin()->first < name) << "not sorted: " << name;
                    objects.emplace_hint(objects.end(), std::move(name), std::move(object));
                  }
                },
            .changed =
                [this](kube::Changes<T> changes) {
                  for (const auto& gone : changes.removed) {
                    objects.erase(gone.name);
                  }
                  for (T& object : changes.changed) {
                    auto name = kube::full_name(object.metadata);
                    objects.insert_or_assign(std::move(name), std::move(object));
                  }
                },
            .failed = [this](const Error& error, Duration) { failures.push_back(error.message()); },
            .left_out = [this](const std::string& text) { left_out.push_back(text); }};
  }
};

class ApiClientTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { control_plane_ = start_control_plane(kNode, "10.250.0.1"); }
  static void TearDownTestSuite() { control_plane_.reset(); }
  void SetUp() override {
    if (kubernetes_program().empty()) {
      GTEST_SKIP() << "SKIP: needs the stock Kubernetes programs: ./dev peers";
    }
    if (::geteuid() != 0) {
      GTEST_SKIP() << "SKIP: needs root";
    }
  }
  void TearDown() override {
    if (client_) {
      bool closed = false;
      tasks_.spawn("close", close(closed));
      EXPECT_TRUE(until([&closed] { return closed; }));
    }
  }
  /// Ends what was spawned before what it uses goes: to be declared after that.
  struct TasksEnd {
    explicit TasksEnd(ApiClientTest& t) : test(t) {}
    ~TasksEnd() {
      test.tasks_.cancel();
      EXPECT_TRUE(test.until([this] { return test.tasks_.count() == 0; }));
    }
    TasksEnd(const TasksEnd&) = delete;
    TasksEnd& operator=(const TasksEnd&) = delete;
    ApiClientTest& test;
  };
  Task<> close(bool& closed) {
    (void)(co_await client_->close()).has_value();
    closed = true;
    co_return Result<>();
  }
  void connect(const std::string& kubeconfig) {
    auto access = kube::load_kubeconfig(kubeconfig);
    ASSERT_TRUE(access) << access.error().message();
    client_.emplace(loop_, *std::move(access));
  }
  bool until(const std::function<bool()>& done, Duration most = 60s) {
    const auto end = real_clock().steady() + most;
    while (!done()) {
      if (real_clock().steady() > end) {
        return false;
      }
      loop_.io().restart();
      loop_.io().run_one_for(20ms);
    }
    return true;
  }
  static void apply(const std::string& yaml) {
    const auto done = control_plane_->kubectl({"apply", "-f", "-"}, yaml);
    ASSERT_EQ(done.code, 0) << done.error;
  }
  static std::string service(const std::string& name, int port) {
    return fmt::format(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {}, annotations: {{service.kubernetes.io/topology-mode: "
        "Auto}}}}"
        "\nspec: {{ports: [{{port: {}}}]}}\n---\n",
        name, port);
  }
  static std::string slice(const std::string& name, const std::string& address) {
    return fmt::format(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: {}, labels: "
        "{{kubernetes.io/service-name: s}}}}\naddressType: IPv4\nports: [{{port: 80}}]\nendpoints: [{{addresses: "
        "[{}]}}]\n---\n",
        name, address);
  }
  /// Connections of this process to the API server.
  static size_t connections() {
    std::set<std::string> own;
    for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
      std::error_code gone;
      own.insert(fs::read_symlink(entry.path(), gone).string());
    }
    size_t count = 0;
    std::istringstream table(read_text("/proc/thread-self/net/tcp"));
    for (std::string line; std::getline(table, line);) {
      std::istringstream words(line);
      const std::vector<std::string> word{std::istream_iterator<std::string>(words), {}};
      count += word.size() > 9 && word[2].ends_with(":192B") && own.contains("socket:[" + word[9] + "]") ? 1 : 0;
    }
    return count;
  }

  static inline OwnControlPlane control_plane_;
  Loop loop_{real_clock(), "test"};
  TaskGroup tasks_{loop_};
  std::optional<kube::Client> client_;
};

TEST_F(ApiClientTest, ThreeKindsOverOneConnectionThroughARestart) {
  std::string all;
  for (int i = 0; i < 30; ++i) {
    all += service(fmt::format("s{}", i), 80 + i) + slice(fmt::format("e{}", i), fmt::format("10.1.0.{}", i + 1));
  }
  apply(all);
  apply(
      "apiVersion: v1\nkind: Node\nmetadata: {name: client-node, labels: {topology.kubernetes.io/zone: z}}\n"
      "spec: {podCIDR: 10.1.0.0/24, podCIDRs: [10.1.0.0/24], taints: [{key: a, effect: NoSchedule}]}\n");
  connect(control_plane_->admin_kubeconfig());
  Mirror<kube::Service> services;
  Mirror<kube::EndpointSlice> slices;
  Mirror<kube::Node> nodes;
  kube::Watch<kube::Service> service_watch(
      *client_,
      {.label_selector = "!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name",
       .annotations = {"service.kubernetes.io/*"},
       .page_size = 7},
      services.consumer());
  kube::Watch<kube::EndpointSlice> slice_watch(*client_, {}, slices.consumer());
  kube::Watch<kube::Node> node_watch(*client_, {.field_selector = "metadata.name=client-node"}, nodes.consumer());
  const TasksEnd end(*this);
  tasks_.spawn("services", service_watch.run());
  tasks_.spawn("slices", slice_watch.run());
  tasks_.spawn("nodes", node_watch.run());
  ASSERT_TRUE(until([&] { return service_watch.healthy() && slice_watch.healthy() && node_watch.healthy(); }))
      << ::testing::PrintToString(services.failures);
  EXPECT_EQ(services.objects.size(), 31U) << "with default/kubernetes";
  EXPECT_EQ(slices.objects.size(), 30U);
  ASSERT_EQ(nodes.objects.size(), 1U);
  EXPECT_EQ(kube::zone_of(nodes.objects["client-node"]), "z");
  EXPECT_EQ(nodes.objects["client-node"].pod_cidrs, std::vector<std::string>{"10.1.0.0/24"});
  const auto& one = services.objects["default/s3"];
  EXPECT_EQ(one.ports.at(0).port, 83);
  EXPECT_THAT(one.cluster_ip, ::testing::StartsWith("10.96."));
  EXPECT_EQ(one.metadata.annotations, (kube::StringMap{{"service.kubernetes.io/topology-mode", "Auto"}}))
      << "kubectl's is dropped";
  EXPECT_EQ(connections(), 1U);

  apply(service("s3", 1003) + service("new", 9));
  ASSERT_EQ(control_plane_->kubectl({"delete", "service", "s4"}).code, 0);
  apply(slice("e5", "10.1.7.7"));
  const auto up_to_date = [&] {
    return services.objects.contains("default/new") && !services.objects.contains("default/s4") &&
           services.objects["default/s3"].ports.at(0).port == 1003 &&
           slices.objects["default/e5"].endpoints.at(0).addresses.at(0) == "10.1.7.7";
  };
  ASSERT_TRUE(until(up_to_date));
  EXPECT_EQ(services.synced, 1);
  EXPECT_THAT(services.failures, ::testing::IsEmpty());

  control_plane_->kill_api_server();
  ASSERT_TRUE(until([&] { return !services.failures.empty() && !slices.failures.empty() && !nodes.failures.empty(); }));
  EXPECT_TRUE(up_to_date()) << "what was known stays";
  control_plane_->start_api_server();
  apply(service("after", 7) + slice("after", "10.1.8.8"));
  ASSERT_EQ(control_plane_->kubectl({"delete", "service", "new"}).code, 0);
  ASSERT_TRUE(until([&] {
    return services.objects.contains("default/after") && slices.objects.contains("default/after") &&
           !services.objects.contains("default/new");
  })) << services.failures.back();
  EXPECT_TRUE(until([&] { return service_watch.healthy() && slice_watch.healthy() && node_watch.healthy(); }));
  EXPECT_TRUE(until([] { return connections() == 1; })) << connections();
  EXPECT_THAT(services.left_out, ::testing::IsEmpty());
}

TEST_F(ApiClientTest, ExpiredVersionsListAgain) {
  connect(control_plane_->admin_kubeconfig());
  auto response = std::make_shared<Result<kube::Response>>(fail(Kind::internal, "not asked"));
  tasks_.spawn("ask", [](kube::Client& client, std::shared_ptr<Result<kube::Response>> into) -> Task<> {
    *into = co_await client.request({.path = "/api/v1/services?watch=true&resourceVersion=1"}, 30s);
    co_return Result<>();
  }(*client_, response));
  ASSERT_TRUE(until([&] { return *response || response->error().what() != "not asked"; }));
  ASSERT_TRUE(*response) << response->error().message();
  EXPECT_THAT((*response)->body, HasSubstr("Expired"));
}

TEST_F(ApiClientTest, WhatItMayNotDoIsSaid) {
  connect(control_plane_->node_kubeconfig());
  Mirror<kube::EndpointSlice> slices;
  kube::Watch<kube::EndpointSlice> watch(*client_, {}, slices.consumer());
  const TasksEnd end(*this);
  tasks_.spawn("slices", watch.run());
  ASSERT_TRUE(until([&] { return !slices.failures.empty(); }));
  EXPECT_THAT(slices.failures[0],
              HasSubstr("endpointslices.discovery.k8s.io is forbidden: User \"system:node:client-node\" cannot list"));
  EXPECT_THAT(slices.failures[0], HasSubstr("it wants a ClusterRole with the rule {apiGroups: [\"discovery.k8s.io\"], "
                                            "resources: [\"endpointslices\"], verbs: [\"list\", \"watch\"]}"));
}

}  // namespace
}  // namespace keelson::testing
