// SPDX-License-Identifier: Apache-2.0
// Devices with a plugin of the test's own behind a socket: registered, listed, given to pods, and kept for them.
#include "agent/devices/devices.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>

#include <boost/asio/co_spawn.hpp>

#include "agent/devices/proto/device_plugin.grpc.pb.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/task_group.h"

namespace keelson::devices {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kResource = "example.com/dongle";

/// What a test has it say, and what it was asked.
class FakePlugin : public v1beta1::DevicePlugin::Service {
 public:
  grpc::Status GetDevicePluginOptions(grpc::ServerContext*, const v1beta1::Empty*,
                                      v1beta1::DevicePluginOptions* answer) override {
    answer->set_pre_start_required(true);
    answer->set_get_preferred_allocation_available(!preferred.empty());
    return options_fail ? grpc::Status(grpc::StatusCode::INTERNAL, "no options") : grpc::Status::OK;
  }
  grpc::Status ListAndWatch(grpc::ServerContext* context, const v1beta1::Empty*,
                            grpc::ServerWriter<v1beta1::ListAndWatchResponse>* writer) override {
    int said = 0;
    std::unique_lock lock(mutex_);
    while (!context->IsCancelled() && !ends_) {
      if (said != version_) {
        said = version_;
        writer->Write(list_);
      }
      news_.wait_for(lock, std::chrono::milliseconds(5));
    }
    return grpc::Status::OK;
  }
  grpc::Status GetPreferredAllocation(grpc::ServerContext*, const v1beta1::PreferredAllocationRequest* request,
                                      v1beta1::PreferredAllocationResponse* answer) override {
    note("prefer", request->container_requests(0).available());
    answer->add_container_responses()->add_device_ids(preferred);
    return grpc::Status::OK;
  }
  grpc::Status Allocate(grpc::ServerContext*, const v1beta1::AllocateRequest* request,
                        v1beta1::AllocateResponse* answer) override {
    note("allocate", request->container_requests(0).device_ids());
    if (on_allocate) {
      on_allocate();
    }
    (*answer->add_container_responses()->mutable_envs())["DONGLE"] = request->container_requests(0).device_ids(0);
    return allocate_fails ? grpc::Status(grpc::StatusCode::UNKNOWN, "it is stuck") : grpc::Status::OK;
  }
  grpc::Status PreStartContainer(grpc::ServerContext*, const v1beta1::PreStartContainerRequest* request,
                                 v1beta1::PreStartContainerResponse*) override {
    note("start", request->device_ids());
    return grpc::Status::OK;
  }

  void list(const std::map<std::string, bool>& devices) {
    const std::lock_guard lock(mutex_);
    list_.Clear();
    for (const auto& [id, healthy] : devices) {
      auto* device = list_.add_devices();
      device->set_id(id);
      device->set_health(healthy ? "Healthy" : "Unhealthy");
      device->mutable_topology()->add_nodes()->set_id(1);
    }
    ++version_;
    news_.notify_all();
  }
  void end_streams(bool now) {
    const std::lock_guard lock(mutex_);
    ends_ = now;
    news_.notify_all();
  }
  std::vector<std::string> calls() {
    const std::lock_guard lock(mutex_);
    return std::exchange(calls_, {});
  }

  std::string preferred;
  std::function<void()> on_allocate;
  std::atomic<bool> options_fail = false;
  std::atomic<bool> allocate_fails = false;

 private:
  void note(std::string text, const auto& ids) {
    for (const auto& id : ids) {
      text += " " + id;
    }
    const std::lock_guard lock(mutex_);
    calls_.push_back(text);
  }
  std::mutex mutex_;
  std::condition_variable news_;
  v1beta1::ListAndWatchResponse list_;
  int version_ = 0;
  bool ends_ = false;
  std::vector<std::string> calls_;
};

kube::Pod pod_of(const std::string& uid, int64_t devices) {
  kube::Pod pod;
  pod.metadata.name = pod.metadata.uid = uid;
  auto& container = pod.spec.containers.emplace_back();
  container.name = "main";
  container.resources.limits[kResource] = kube::Quantity::of(devices);
  return pod;
}

class DevicesTest : public ::testing::Test {
 protected:
  DevicesTest() {
    log::set_level(log::Level::off);
    char name[] = "/tmp/keelson-devices-XXXXXX";
    root_ = ::mkdtemp(name);
    begin();
  }
  ~DevicesTest() override {
    end();
    stop_plugin();
    fs::remove_all(root_);
  }

  /// The agent starts; as of this boot of the machine.
  void begin(const std::string& boot = "boot-1") {
    devices_.emplace(loop_, DevicesOptions{.root = root_, .boot_id = boot});
    tasks_.emplace(loop_);
    tasks_->spawn("devices", devices_->run());
    loop_.run_until_idle();
    EXPECT_TRUE(fs::is_socket(folder() + "/kubelet.sock"));
  }
  void end() {
    if (devices_) {
      ASSERT_TRUE(wait(tasks_->close()));
      ASSERT_TRUE(wait(devices_->close()));
      tasks_.reset();
      devices_.reset();
    }
  }
  std::string folder() const { return root_ + "/device-plugins"; }
  std::string checkpoint() const { return folder() + "/kubelet_internal_checkpoint"; }

  void until(const std::function<bool()>& done) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!done()) {
      ASSERT_LT(std::chrono::steady_clock::now(), limit) << "it did not come";
      loop_.io().restart();
      loop_.io().run_one_for(std::chrono::milliseconds(5));
    }
  }
  template <class T>
  Result<T> wait(asio::awaitable<Result<T>> task) {
    auto into = std::make_shared<std::optional<Result<T>>>();
    asio::co_spawn(loop_.io(), std::move(task),
                   [into](std::exception_ptr, Result<T> got) { into->emplace(std::move(got)); });
    until([&] { return into->has_value(); });
    return into->has_value() ? std::move(**into) : Result<T>(fail(Kind::timeout, "no answer"));
  }

  void serve_plugin() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + folder() + "/dongle.sock", grpc::InsecureServerCredentials());
    builder.RegisterService(&plugin_);
    server_ = builder.BuildAndStart();
    ASSERT_TRUE(server_);
  }
  void stop_plugin() {
    if (server_) {
      plugin_.end_streams(true);
      server_->Shutdown(std::chrono::system_clock::now());
      server_.reset();
      plugin_.end_streams(false);
    }
  }
  /// The node's answer to a registration.
  grpc::Status sign_up(const std::string& resource = kResource, const std::string& version = "v1beta1") {
    auto asked = std::async(std::launch::async, [&] {
      const auto stub = v1beta1::Registration::NewStub(
          grpc::CreateChannel("unix:" + folder() + "/kubelet.sock", grpc::InsecureChannelCredentials()));
      v1beta1::RegisterRequest request;
      request.set_version(version);
      request.set_endpoint("dongle.sock");
      request.set_resource_name(resource);
      grpc::ClientContext context;
      v1beta1::Empty answer;
      return stub->Register(&context, request, &answer);
    });
    until([&] { return asked.wait_for(std::chrono::seconds(0)) == std::future_status::ready; });
    return asked.get();
  }
  void serve_and_sign_up(const std::map<std::string, bool>& devices) {
    serve_plugin();
    const auto answer = sign_up();
    ASSERT_TRUE(answer.ok()) << answer.error_message();
    list(devices);
  }
  void list(const std::map<std::string, bool>& devices) {
    plugin_.list(devices);
    until([&] {
      return capacity() == std::ssize(devices) &&
             allocatable() == std::ranges::count(devices, true, [](const auto& d) { return d.second; });
    });
  }
  static int64_t amount(const kube::ResourceList& list) {
    const auto found = list.find(kResource);
    return found != list.end() ? found->second.whole() : -1;
  }
  int64_t capacity() const { return amount(devices_->totals().capacity); }
  int64_t allocatable() const { return amount(devices_->totals().allocatable); }

  /// "": it has what it wants.
  std::string refusal(kube::Pod pod) {
    const auto refused = wait(devices_->allot(std::move(pod)));
    return !refused ? refused.error().message() : *refused ? (*refused)->reason + ": " + (*refused)->message : "";
  }
  std::string given(const std::string& uid) {
    const auto envs = devices_->of(pod_of(uid, 1), "main").envs;
    return envs.empty() ? "" : envs[0].second;
  }

  FakeClock clock_;
  Loop loop_{clock_, "devices"};
  std::string root_;
  FakePlugin plugin_;
  std::unique_ptr<grpc::Server> server_;
  std::optional<Devices> devices_;
  std::optional<TaskGroup> tasks_;
};

TEST_F(DevicesTest, APodHasDevicesUntilItEnds) {
  serve_and_sign_up({{"a", true}, {"b", false}});
  EXPECT_EQ(refusal(pod_of("u1", 1)), "");
  EXPECT_EQ(given("u1"), "a");
  EXPECT_THAT(devices_->devices_of("u1", "main"), ElementsAre(DeviceUse{kResource, "a", {1}}));
  EXPECT_EQ(refusal(pod_of("u1", 1)), "") << "it has it";
  EXPECT_THAT(plugin_.calls(), ElementsAre("allocate a"));
  EXPECT_EQ(refusal(pod_of("u2", 1)),
            "UnexpectedAdmissionError: Allocate failed due to requested number of devices unavailable for "
            "example.com/dongle. Requested: 1, Available: 0, which is unexpected");
  devices_->release("u1");
  EXPECT_EQ(given("u1"), "");
  EXPECT_EQ(refusal(pod_of("u2", 1)), "");
  EXPECT_THAT(devices_->allocatable_devices(), ElementsAre(DeviceUse{kResource, "a", {1}})) << "though u2 has it";
}

TEST_F(DevicesTest, ContainersAreServedInTheirOrderAndAllOfThemOrNone) {
  serve_and_sign_up({{"a", true}, {"b", true}, {"c", true}});
  auto pod = pod_of("u1", 2);
  auto& second = pod.spec.containers.emplace_back(pod.spec.containers[0]);
  second.name = "second";
  EXPECT_THAT(refusal(pod), HasSubstr("Requested: 2, Available: 1"));
  EXPECT_THAT(plugin_.calls(), ElementsAre("allocate a b"));
  EXPECT_EQ(refusal(pod_of("u2", 3)), "") << "what the first container was given is free again";
  devices_->release("u2");
  plugin_.calls();
  auto& early = pod.spec.init_containers.emplace_back(pod.spec.containers[0]);
  early.name = "early";
  early.resources.limits[kResource] = kube::Quantity::of(1);
  auto& sidecar = pod.spec.init_containers.emplace_back(early);
  sidecar.name = "sidecar";
  sidecar.restart_policy = kube::RestartPolicy::always;
  pod.spec.containers.pop_back();
  EXPECT_EQ(refusal(pod), "") << "the sidecar has what the first leaves, and keeps it";
  EXPECT_THAT(plugin_.calls(), ElementsAre("allocate a", "allocate a", "allocate b c"));
}

TEST_F(DevicesTest, RegistrationsAreAnsweredInTheKubeletsWords) {
  EXPECT_EQ(sign_up(kResource, "v1alpha1").error_message(),
            "requested API version \"v1alpha1\" is not supported by kubelet. Supported version is [\"v1beta1\"]");
  EXPECT_EQ(sign_up("dongle").error_message(), "the ResourceName \"dongle\" is invalid");
  serve_plugin();
  plugin_.options_fail = true;
  EXPECT_EQ(sign_up().error_message(),
            "failed to get device plugin options: rpc error: code = Internal desc = no options");
  EXPECT_EQ(capacity(), -1) << "it is not used";
  Stats stats;
  devices_->collect(stats);
  const auto& counted = stats.families().at("kubelet_device_plugin_registration_total").samples;
  ASSERT_EQ(counted.size(), 2);
  EXPECT_EQ(counted[1].labels, (StatLabels{{"resource_name", kResource}}));
  EXPECT_EQ(counted[1].value, 2);
}

TEST_F(DevicesTest, ThePluginIsAskedWhatItPrefersAndBeforeEachStart) {
  plugin_.preferred = "b";
  serve_and_sign_up({{"a", true}, {"b", true}});
  EXPECT_EQ(refusal(pod_of("u1", 1)), "");
  EXPECT_EQ(given("u1"), "b");
  EXPECT_TRUE(wait(devices_->prepare_container(pod_of("u1", 1), "main")));
  EXPECT_THAT(plugin_.calls(), ElementsAre("prefer a b", "allocate b", "start b"));
  stop_plugin();
  until([&] { return allocatable() == 0; });
  EXPECT_EQ(wait(devices_->prepare_container(pod_of("u1", 1), "main")).error().message(),
            "device plugin PreStartContainer rpc failed with err: endpoint example.com/dongle has been stopped");
}

TEST_F(DevicesTest, WhatThePluginRefusesThePodIsRefused) {
  serve_and_sign_up({{"a", true}});
  plugin_.allocate_fails = true;
  EXPECT_EQ(refusal(pod_of("u1", 1)),
            "UnexpectedAdmissionError: Allocate failed due to rpc error: code = Unknown desc = it is stuck, which is "
            "unexpected");
  plugin_.allocate_fails = false;
  EXPECT_EQ(refusal(pod_of("u2", 1)), "");
}

TEST_F(DevicesTest, APodThatGoesWhileItIsServedHasNothing) {
  serve_and_sign_up({{"a", true}});
  plugin_.on_allocate = [this] { loop_.post([this] { devices_->release("u1"); }); };
  EXPECT_EQ(refusal(pod_of("u1", 1)), "pod u1 has gone");
  plugin_.on_allocate = {};
  EXPECT_EQ(refusal(pod_of("u2", 1)), "");
}

template <class T>
Task<> keep(Task<T> task, std::optional<Result<T>>* into) {
  *into = co_await std::move(task);
  co_return Result<>();
}

TEST_F(DevicesTest, AQuestionThatIsGivenUpRefusesNobody) {
  serve_and_sign_up({{"a", true}});
  std::atomic<bool> stuck = true;
  std::promise<void> asked;
  std::promise<void> over;
  plugin_.on_allocate = [&stuck, &asked, end = over.get_future().share()] {
    if (stuck.exchange(false)) {
      asked.set_value();
      end.wait();
    }
  };
  TaskGroup group(loop_);
  std::optional<Result<std::optional<agent::AllotmentRefusal>>> answer;
  group.spawn("allot", keep(devices_->allot(pod_of("u1", 1)), &answer));
  auto began = asked.get_future();
  until([&] { return began.wait_for(std::chrono::seconds(0)) == std::future_status::ready; });
  group.cancel();
  until([&] { return answer.has_value(); });
  ASSERT_FALSE(*answer) << "a pod is not failed for an agent that ends";
  EXPECT_EQ(answer->error().kind(), Kind::cancelled);
  over.set_value();
  EXPECT_EQ(refusal(pod_of("u2", 1)), "") << "nobody has it";
  stop_plugin();
}

TEST_F(DevicesTest, APodThatCameBeforeThePluginHasDevicesFromItsNextContainerOn) {
  EXPECT_EQ(refusal(pod_of("u1", 1)), "") << "nobody knows of the resource yet";
  EXPECT_TRUE(wait(devices_->prepare_container(pod_of("u1", 1), "main")));
  EXPECT_EQ(given("u1"), "");
  serve_and_sign_up({{"a", true}});
  EXPECT_TRUE(wait(devices_->prepare_container(pod_of("u1", 1), "main")));
  EXPECT_EQ(given("u1"), "a");
  EXPECT_EQ(wait(devices_->prepare_container(pod_of("u2", 1), "main")).error().message(),
            "Allocate failed due to requested number of devices unavailable for example.com/dongle. Requested: 1, "
            "Available: 0, which is unexpected");
}

TEST_F(DevicesTest, APluginThatEndsLeavesUnhealthyDevicesAndThenNone) {
  serve_and_sign_up({{"a", true}, {"b", true}});
  stop_plugin();
  until([&] { return allocatable() == 0; });
  EXPECT_EQ(capacity(), 2);
  EXPECT_THAT(refusal(pod_of("u1", 1)), HasSubstr("no healthy devices present"));
  loop_.advance(clock_, std::chrono::minutes(4));
  EXPECT_EQ(capacity(), 2);
  loop_.advance(clock_, std::chrono::minutes(2));
  EXPECT_EQ(capacity(), 0);
  EXPECT_THAT(devices_->resources(), IsEmpty());
}

TEST_F(DevicesTest, APluginThatIsBackInTimeStays) {
  serve_and_sign_up({{"a", true}});
  EXPECT_TRUE(sign_up().ok()) << "anew, in place of what it was";
  plugin_.list({{"a", true}, {"b", true}});
  until([&] { return allocatable() == 2; });
  loop_.advance(clock_, std::chrono::minutes(6));
  EXPECT_EQ(allocatable(), 2);
}

TEST_F(DevicesTest, ANodeBeginsAnewOnceWithPluginsOrWithout) {
  EXPECT_TRUE(devices_->totals().first_life);
  end();
  begin();
  EXPECT_FALSE(devices_->totals().first_life);
}

TEST_F(DevicesTest, ANewAgentKeepsDevicesForTheirPods) {
  serve_and_sign_up({{"a", true}, {"b", true}});
  EXPECT_EQ(refusal(pod_of("u1", 1)), "");
  std::ofstream(folder() + "/notes") << "a file";
  end();
  begin();
  EXPECT_FALSE(fs::exists(folder() + "/dongle.sock")) << "plugins see by this that they are to register";
  EXPECT_TRUE(fs::exists(folder() + "/notes"));
  EXPECT_EQ(capacity(), 0);
  EXPECT_EQ(given("u1"), "a");
  EXPECT_EQ(refusal(pod_of("u1", 1)), "") << "it may run, and its plugin is not back yet";
  EXPECT_THAT(refusal(pod_of("u2", 1)), HasSubstr("no healthy devices present"));
  stop_plugin();
  serve_and_sign_up({{"a", true}, {"b", true}});
  EXPECT_EQ(refusal(pod_of("u2", 1)), "");
  EXPECT_EQ(given("u2"), "b");
  devices_->retain({"u2"});
  EXPECT_EQ(refusal(pod_of("u3", 1)), "") << "u1 went while nobody looked";
}

TEST_F(DevicesTest, AfterABootDevicesAreLookedAtAgain) {
  serve_and_sign_up({{"a", true}});
  EXPECT_EQ(refusal(pod_of("u1", 1)), "");
  end();
  begin("boot-2");
  EXPECT_THAT(refusal(pod_of("u1", 1)), HasSubstr("no healthy devices present"));
  stop_plugin();
  serve_and_sign_up({{"a", true}});
  EXPECT_EQ(refusal(pod_of("u1", 1)), "");
}

TEST_F(DevicesTest, WithoutACheckpointThatCanBeReadItGoesOn) {
  serve_and_sign_up({{"a", true}});
  EXPECT_EQ(refusal(pod_of("u1", 1)), "");
  const auto text = read_file(checkpoint()).value();
  for (const auto& broken : {text.substr(0, text.size() / 2), std::string("{}")}) {
    end();
    std::ofstream(checkpoint()) << broken;
    begin();
    EXPECT_EQ(given("u1"), "");
    EXPECT_THAT(devices_->resources(), IsEmpty());
  }
  stop_plugin();
  serve_and_sign_up({{"a", true}});
  EXPECT_EQ(refusal(pod_of("u2", 1)), "");
  EXPECT_THAT(read_file(checkpoint()).value(), HasSubstr(R"("PodUID":"u2")"));
}

TEST_F(DevicesTest, PluginsRegisterThroughTheWatcherToo) {
  serve_plugin();
  const auto socket = folder() + "/dongle.sock";
  plugins::Plugin plugin{.type = "DevicePlugin", .name = kResource, .endpoint = socket, .versions = {"v1"}};
  EXPECT_EQ(wait(devices_->plugin_registered(plugin)).error().message(),
            "manager version, v1beta1, is not among plugin supported versions [v1]");
  plugin.versions = {"v1", "v1beta1"};
  EXPECT_TRUE(wait(devices_->plugin_registered(plugin)));
  list({{"a", true}});
  auto other = plugin;
  other.endpoint = "/elsewhere";
  devices_->plugin_gone(other);
  EXPECT_EQ(allocatable(), 1) << "another one's socket";
  devices_->plugin_gone(plugin);
  EXPECT_EQ(allocatable(), 0);
  EXPECT_EQ(capacity(), 1);
}

}  // namespace
}  // namespace keelson::devices
