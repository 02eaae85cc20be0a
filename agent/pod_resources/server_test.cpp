// SPDX-License-Identifier: Apache-2.0
// The podresources API over its socket.
#include "agent/pod_resources/server.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <map>
#include <thread>

#include "agent/pod_resources/proto/podresources.grpc.pb.h"

namespace keelson::pod_resources {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

struct SmallSource : Source {
  std::vector<kube::Pod> active_pods() const override { return pods; }
  std::optional<kube::Pod> find_pod(const std::string& ns, const std::string& name) const override {
    for (const auto& pod : pods) {
      if (pod.metadata.ns == ns && pod.metadata.name == name) {
        return pod;
      }
    }
    return std::nullopt;
  }
  std::vector<Device> devices_of(const std::string& uid, const std::string& container) const override {
    const auto found = devices.find(uid + "/" + container);
    return found != devices.end() ? found->second : std::vector<Device>();
  }
  std::vector<int64_t> cpus_of(const std::string& uid, const std::string& container) const override {
    const auto found = cpus.find(uid + "/" + container);
    return found != cpus.end() ? found->second : std::vector<int64_t>();
  }
  std::vector<Device> allocatable_devices() const override { return {{.resource = "x/gpu", .id = "g1"}}; }
  std::vector<int64_t> allocatable_cpus() const override { return {1, 2, 3}; }

  std::vector<kube::Pod> pods;
  std::map<std::string, std::vector<Device>> devices;
  std::map<std::string, std::vector<int64_t>> cpus;
};

kube::Container container(const std::string& name) {
  kube::Container made;
  made.name = name;
  return made;
}

class PodResourcesTest : public ::testing::Test {
 protected:
  PodResourcesTest() {
    std::string pattern = "/tmp/keelson-pod-resources-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    kube::Pod pod;
    pod.metadata.ns = "lab";
    pod.metadata.name = "train";
    pod.metadata.uid = "uid-1";
    pod.spec.init_containers = {container("prepare"), container("watch")};
    pod.spec.init_containers[1].restart_policy = kube::RestartPolicy::always;
    pod.spec.containers = {container("main")};
    source_.pods = {pod};
    source_.devices["uid-1/main"] = {{.resource = "x/gpu", .id = "g1", .numa_nodes = {0, 1}},
                                     {.resource = "x/nic", .id = "n7"}};
    source_.cpus["uid-1/main"] = {2, 3};
    source_.cpus["uid-1/watch"] = {1};
    auto started = Server::start(loop_, source_, socket());
    EXPECT_TRUE(started) << started.error().message();
    server_ = *std::move(started);
    stub_ =
        v1::PodResourcesLister::NewStub(grpc::CreateChannel("unix:" + socket(), grpc::InsecureChannelCredentials()));
  }
  ~PodResourcesTest() override {
    stop_loop();
    server_.reset();
    std::filesystem::remove_all(folder_);
  }

  std::string socket() const { return folder_ + "/pod-resources/kubelet.sock"; }
  void run_loop() {
    thread_ = std::jthread([this] { loop_.run(); });
  }
  void stop_loop() {
    if (thread_.joinable()) {
      loop_.stop();
      thread_.join();
    }
  }

  grpc::Status list(v1::ListPodResourcesResponse& answer) {
    grpc::ClientContext context;
    return stub_->List(&context, {}, &answer);
  }
  grpc::Status get(const std::string& ns, const std::string& name, v1::GetPodResourcesResponse& answer) {
    grpc::ClientContext context;
    v1::GetPodResourcesRequest request;
    request.set_pod_namespace(ns);
    request.set_pod_name(name);
    return stub_->Get(&context, request, &answer);
  }
  double told(const std::string& name) {
    Stats stats;
    server_->collect(stats);
    const auto found = stats.families().find("kubelet_pod_resources_endpoint_" + name);
    return found == stats.families().end() ? 0 : found->second.samples.at(0).value;
  }

  FakeClock clock_;  // stands still but where a test moves it
  Loop loop_{clock_, "kl-test"};
  SmallSource source_;
  std::string folder_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::PodResourcesLister::Stub> stub_;
  std::jthread thread_;
};

TEST_F(PodResourcesTest, ListsWhatContainersHaveForThemselves) {
  run_loop();
  v1::ListPodResourcesResponse answer;
  ASSERT_TRUE(list(answer).ok());
  ASSERT_EQ(answer.pod_resources_size(), 1);
  const auto& pod = answer.pod_resources(0);
  EXPECT_EQ(pod.namespace_() + "/" + pod.name(), "lab/train");
  ASSERT_EQ(pod.containers_size(), 2) << "an init container that ends is not told of";
  EXPECT_EQ(pod.containers(0).name(), "watch");
  EXPECT_THAT(pod.containers(0).cpu_ids(), ElementsAre(1));
  EXPECT_EQ(pod.containers(0).devices_size(), 0);
  const auto& main = pod.containers(1);
  EXPECT_EQ(main.name(), "main");
  EXPECT_THAT(main.cpu_ids(), ElementsAre(2, 3));
  ASSERT_EQ(main.devices_size(), 3) << "a device near two NUMA nodes is told twice";
  EXPECT_THAT(main.devices(0).device_ids(), ElementsAre("g1"));
  EXPECT_EQ(main.devices(0).topology().nodes(0).id(), 0);
  EXPECT_THAT(main.devices(1).device_ids(), ElementsAre("g1"));
  EXPECT_EQ(main.devices(1).topology().nodes(0).id(), 1);
  EXPECT_EQ(main.devices(2).resource_name(), "x/nic");
  EXPECT_FALSE(main.devices(2).has_topology());
}

TEST_F(PodResourcesTest, GetsOnePodAndSaysWhichIsNotThere) {
  run_loop();
  v1::GetPodResourcesResponse answer;
  ASSERT_TRUE(get("lab", "train", answer).ok());
  EXPECT_EQ(answer.pod_resources().containers_size(), 2);
  const auto status = get("shop", "train", answer);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNKNOWN);
  EXPECT_EQ(status.error_message(), "pod train in namespace shop not found");
  grpc::ClientContext context;
  v1::AllocatableResourcesResponse all;
  ASSERT_TRUE(stub_->GetAllocatableResources(&context, {}, &all).ok());
  EXPECT_THAT(all.cpu_ids(), ElementsAre(1, 2, 3));
  EXPECT_EQ(all.devices(0).resource_name(), "x/gpu");
  stop_loop();
  EXPECT_EQ(told("requests_total"), 3);
  EXPECT_EQ(told("requests_get"), 2);
  EXPECT_EQ(told("errors_get"), 1);
  EXPECT_EQ(told("requests_get_allocatable"), 1);
  EXPECT_EQ(told("requests_list"), 0);
}

TEST_F(PodResourcesTest, RefusesWhoAsksTooOften) {
  run_loop();
  v1::ListPodResourcesResponse answer;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(list(answer).ok()) << i;
  }
  const auto status = list(answer);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(status.error_message(), "rejected by rate limit");
  clock_.advance(10ms);
  EXPECT_TRUE(list(answer).ok()) << "100 a second";
  EXPECT_FALSE(list(answer).ok());
}

TEST_F(PodResourcesTest, EndsThoughTheLoopDoesNotAnswer) {
  v1::ListPodResourcesResponse answer;
  grpc::Status status;
  std::jthread caller([&] { status = list(answer); });
  server_.reset();
  caller.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << "whether it was before the end or after";
}

TEST_F(PodResourcesTest, OnlyRootReachesTheSocket) {
  struct stat info{};
  ASSERT_EQ(::stat((folder_ + "/pod-resources").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0750u);
}

TEST_F(PodResourcesTest, TakesThePlaceOfAnEarlierSocketAndSaysWhereItCannotListen) {
  EXPECT_TRUE(Server::start(loop_, source_, socket())) << "what a killed daemon left";
  const auto failed = Server::start(loop_, source_, folder_ + "/" + std::string(120, 'x') + "/kubelet.sock");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind(), Kind::unavailable);
}

}  // namespace
}  // namespace keelson::pod_resources
