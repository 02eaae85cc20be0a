// SPDX-License-Identifier: Apache-2.0
// Containers that a kubelet has made, and what a kubelet has to find of ours.
#include <gtest/gtest.h>

#include <filesystem>

#include "agent/cri_pod_runtime.h"
#include "agent/fake_pod_configs.h"
#include "agent/fake_runtime_client.h"
#include "common/atomic_file.h"
#include "common/fd.h"
#include "common/task_group.h"

namespace keelson::agent {
namespace {

/// Has one container, and keeps the config of the next.
class OneContainer : public FakeRuntimeClient {
 public:
  Task<std::vector<cri::SandboxStatus>> list_pod_sandboxes(cri::ListFilter, Duration) override {
    co_return std::vector<cri::SandboxStatus>();
  }
  Task<std::vector<cri::ContainerStatus>> list_containers(cri::ListFilter, Duration) override {
    co_return std::vector{has};
  }
  Task<cri::ContainerStatus> container_status(std::string, Duration) override { co_return has; }
  Task<cri::Image> image_status(std::string, Duration) override { co_return cri::Image(); }
  Task<std::string> create_container(std::string, cri::ContainerConfig config, cri::SandboxConfig, Duration) override {
    asked = std::move(config);
    co_return "c1";
  }

  cri::ContainerStatus has;
  cri::ContainerConfig asked;
};

class KubeletsContainersTest : public ::testing::Test {
 protected:
  KubeletsContainersTest() {
    std::string pattern = ::testing::TempDir() + "keelson-cri-pod-XXXXXX";
    folder = ::mkdtemp(pattern.data());
  }
  ~KubeletsContainersTest() override { std::filesystem::remove_all(folder); }

  /// What a task that waits for nobody answers.
  template <class T>
  T answer(Task<T> task) {
    std::optional<T> got;
    TaskGroup group(loop);
    group.spawn("ask", keep(std::move(task), &got));
    loop.run_until_idle();
    return std::move(got).value();
  }
  template <class T>
  static Task<> keep(Task<T> task, std::optional<T>* got) {
    KEELSON_CO_TRY(*got, co_await std::move(task));
    co_return Result<>();
  }

  std::string folder;
  FakeClock clock;
  Loop loop{clock, "test"};
  OneContainer client;
  FakePodConfigs configs;
  CriPodRuntime runtime{client, configs};
};

TEST_F(KubeletsContainersTest, TheLastWordsOfAKubeletsContainerAreFound) {
  const auto file = folder + "/pods/u1/containers/main/0badcafe";
  ASSERT_TRUE(make_directories(folder + "/pods/u1/containers/main"));
  ASSERT_TRUE(write_file_atomic(file, "no disk"));
  client.has = {.id = "c1", .name = "main", .state = cri::ContainerState::exited, .exit_code = 1};
  client.has.labels = {{"io.kubernetes.pod.uid", "u1"}, {"io.kubernetes.container.name", "main"}};
  client.has.annotations = {{"io.kubernetes.container.terminationMessagePath", "/dev/termination-log"},
                            {"io.kubernetes.container.hash", "8e45cbd0"}};
  client.has.mounts = {{.container_path = "/dev/termination-log", .host_path = file}};
  const auto seen = answer(runtime.observe("u1"));
  ASSERT_EQ(seen.containers.size(), 1U);
  EXPECT_EQ(seen.containers[0].message, "no disk");
  EXPECT_EQ(seen.containers[0].spec_hash, "8e45cbd0");
}

TEST_F(KubeletsContainersTest, AFileOfTheNodeIsNobodysLastWords) {
  const auto file = folder + "/secret";
  ASSERT_TRUE(write_file_atomic(file, "of the node"));
  client.has = {.id = "c1", .name = "main", .state = cri::ContainerState::exited, .exit_code = 1};
  client.has.labels = {{"io.kubernetes.pod.uid", "u1"}, {"io.kubernetes.container.name", "main"}};
  client.has.annotations = {{"io.kubernetes.container.terminationMessagePath", "/dev/termination-log"}};
  client.has.mounts = {{.container_path = "/dev/termination-log", .host_path = file}};
  EXPECT_EQ(answer(runtime.observe("u1")).containers.at(0).message, "");
}

TEST_F(KubeletsContainersTest, AKubeletFindsWhatItAsksAContainerFor) {
  ContainerOrder order;
  order.pod.metadata = {.name = "web", .ns = "default", .uid = "u1"};
  order.pod.spec.termination_grace_period_seconds = 7;
  order.pod.spec.containers.emplace_back().name = "test_container";
  order.pod.spec.containers[0].image = "foo/image:v1";
  order.name = "test_container";
  order.attempt = 3;
  EXPECT_EQ(answer(runtime.create_container(order)), "c1");
  auto found = client.asked.annotations;
  EXPECT_EQ(found["io.kubernetes.container.hash"], "8e45cbd0");
  EXPECT_EQ(found["io.kubernetes.container.restartCount"], "3");
  EXPECT_EQ(found["io.kubernetes.container.terminationMessagePath"], "/dev/termination-log");
  EXPECT_EQ(found["io.kubernetes.container.terminationMessagePolicy"], "File");
  EXPECT_EQ(found["io.kubernetes.pod.terminationGracePeriod"], "7");
}

}  // namespace
}  // namespace keelson::agent
