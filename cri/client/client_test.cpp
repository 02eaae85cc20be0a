// SPDX-License-Identifier: Apache-2.0
// The client against a runtime that misbehaves: it is away, hangs, ends, and comes back.
#include "cri/client/client.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <future>
#include <thread>

#include "common/task_group.h"
#include "cri/client/convert.h"
#include "cri/client/event_poll.h"
#include "cri/proto/api.grpc.pb.h"

namespace keelson::cri {
namespace {

constexpr auto kLong = std::chrono::seconds(20);

/// A runtime that answers what a test needs, and no more.
class FaultyRuntime : public v1::RuntimeService::Service {
 public:
  grpc::Status Version(grpc::ServerContext*, const v1::VersionRequest*, v1::VersionResponse* answer) override {
    answer->set_runtime_name("faulty");
    return grpc::Status::OK;
  }
  grpc::Status StartContainer(grpc::ServerContext*, const v1::StartContainerRequest* request,
                              v1::StartContainerResponse*) override {
    return {static_cast<grpc::StatusCode>(std::stoi(request->container_id())), "because"};
  }
  grpc::Status Status(grpc::ServerContext* context, const v1::StatusRequest*, v1::StatusResponse*) override {
    while (!context->IsCancelled()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    hung_up.set_value();
    return grpc::Status::CANCELLED;
  }
  grpc::Status GetContainerEvents(grpc::ServerContext* context, const v1::GetEventsRequest*,
                                  grpc::ServerWriter<v1::ContainerEventResponse>* writer) override {
    if (!tells_events) {
      return {grpc::StatusCode::UNIMPLEMENTED, "unknown method GetContainerEvents"};
    }
    writer->SendInitialMetadata();
    v1::ContainerEventResponse event;
    event.set_container_id("c" + std::to_string(++streams));
    event.set_created_at(std::chrono::nanoseconds(real_clock().wall().time_since_epoch()).count());
    writer->Write(event);
    if (streams == 1) {
      return {grpc::StatusCode::RESOURCE_EXHAUSTED, "reader is behind"};
    }
    while (!context->IsCancelled()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return grpc::Status::OK;
  }
  grpc::Status ListPodSandbox(grpc::ServerContext*, const v1::ListPodSandboxRequest*,
                              v1::ListPodSandboxResponse* answer) override {
    auto* sandbox = answer->add_items();
    sandbox->set_id("s");
    sandbox->mutable_metadata()->set_uid("uid");
    sandbox->set_state(v1::SANDBOX_READY);
    return grpc::Status::OK;
  }
  grpc::Status ListContainers(grpc::ServerContext*, const v1::ListContainersRequest*,
                              v1::ListContainersResponse* answer) override {
    auto* container = answer->add_containers();
    container->set_id("c");
    container->set_pod_sandbox_id("s");
    container->set_state(++lists < 2 ? v1::CONTAINER_RUNNING : v1::CONTAINER_EXITED);
    return grpc::Status::OK;
  }
  std::atomic<int> lists = 0;
  std::atomic<bool> tells_events = true;
  std::atomic<int> streams = 0;
  std::promise<void> hung_up;
};

class SmallImages : public v1::ImageService::Service {
 public:
  grpc::Status ListImages(grpc::ServerContext*, const v1::ListImagesRequest*, v1::ListImagesResponse* answer) override {
    answer->add_images()->set_id("sha256:apart");
    return grpc::Status::OK;
  }
};

class ClientTest : public testing::Test {
 protected:
  ClientTest() {
    char name[] = "/tmp/keelson-client-XXXXXX";
    dir_ = ::mkdtemp(name);
    socket_ = dir_ + "/cri.sock";
  }
  ~ClientTest() override {
    stop();
    std::filesystem::remove_all(dir_);
  }
  void serve() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + socket_, grpc::InsecureServerCredentials());
    builder.RegisterService(&runtime_);
    server_ = builder.BuildAndStart();
    ASSERT_TRUE(server_);
  }
  void stop() {
    if (server_) {
      server_->Shutdown(std::chrono::system_clock::now());
      server_.reset();
    }
  }

  std::string dir_, socket_;
  FaultyRuntime runtime_;
  std::unique_ptr<grpc::Server> server_;
};

template <class T>
Task<> keep(Loop* loop, asio::awaitable<Result<T>> task, std::optional<Result<T>>* into) {
  *into = co_await std::move(task);
  loop->stop();
  co_return Result<>();
}

template <class T>
Result<T> run(Loop& loop, asio::awaitable<Result<T>> task) {
  TaskGroup group(loop);
  std::optional<Result<T>> outcome;
  group.spawn("call", keep(&loop, std::move(task), &outcome));
  loop.run();
  loop.io().restart();
  return *outcome;
}

// Whoever frees a channel's last share waits for gRPC's callback threads; one of these must not be the one.
TEST_F(ClientTest, ClientsMayGoRightAfterTheirLastAnswer) {
  serve();
  for (int i = 0; i < 600; ++i) {
    Loop loop(real_clock(), "client-test");
    auto client = connect_runtime(loop, socket_);
    auto version = run(loop, client->version(kLong));
    ASSERT_TRUE(version) << version.error().message();
    EXPECT_EQ(version->name, "faulty");
  }
}

TEST_F(ClientTest, ClientsMayGoUnderOpenCalls) {
  serve();
  Loop loop(real_clock(), "client-test");
  auto client = connect_runtime(loop, socket_);
  TaskGroup group(loop);
  std::optional<Result<RuntimeStatus>> outcome;
  group.spawn("hanging call", keep(&loop, client->status(kLong), &outcome));
  client->watch_events([](const ContainerEvent&) {}, [] {});
  loop.io().run_for(std::chrono::milliseconds(50));
  client.reset();
  EXPECT_EQ(runtime_.hung_up.get_future().wait_for(kLong), std::future_status::ready) << "the runtime is told";
  loop.run();
  ASSERT_TRUE(outcome && !*outcome);
  EXPECT_EQ(outcome->error().kind(), Kind::cancelled);
}

TEST_F(ClientTest, WhoIsCancelledIsToldSo) {
  serve();
  Loop loop(real_clock(), "client-test");
  auto client = connect_runtime(loop, socket_);
  TaskGroup group(loop);
  std::optional<Result<RuntimeStatus>> outcome;
  group.spawn("hanging call", keep(&loop, client->status(kLong), &outcome));
  loop.run_until_idle();
  group.cancel();
  loop.io().restart();
  loop.run();
  ASSERT_TRUE(outcome && !*outcome);
  EXPECT_EQ(outcome->error().kind(), Kind::cancelled);
  EXPECT_EQ(outcome->error().code(), 0);
}

TEST_F(ClientTest, StatusCodesBecomeKinds) {
  serve();
  Loop loop(real_clock(), "client-test");
  auto client = connect_runtime(loop, socket_);
  const std::pair<int, Kind> expected[] = {{3, Kind::invalid},    {5, Kind::not_found},    {6, Kind::exists},
                                           {7, Kind::permission}, {8, Kind::exhausted},    {9, Kind::conflict},
                                           {2, Kind::internal},   {12, Kind::unsupported}, {14, Kind::unavailable},
                                           {1, Kind::unavailable}};  // a runtime that has given up, not we
  for (auto [code, kind] : expected) {
    auto started = run(loop, client->start_container(std::to_string(code), kLong));
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().kind(), kind) << code;
    EXPECT_EQ(started.error().message(), "because");
  }
}

TEST_F(ClientTest, CallsAreCountedByTheKubeletsNames) {
  serve();
  Loop loop(real_clock(), "client-test");
  auto calls = std::make_shared<CallStats>();
  auto one = connect_runtime(loop, socket_, calls);
  auto other = connect_runtime(loop, socket_, calls);
  ASSERT_TRUE(run(loop, one->version(kLong)));
  ASSERT_TRUE(run(loop, other->version(kLong)));
  ASSERT_FALSE(run(loop, one->start_container("2", kLong)));
  ASSERT_FALSE(run(loop, one->run_pod_sandbox({}, "kata", kLong))) << "this runtime cannot";
  Stats told;
  calls->collect(told);
  const auto value = [&](const std::string& family, const std::string& operation) {
    for (const auto& sample : told.families().at(family).samples) {
      if (sample.labels[0].second == operation) {
        return sample.histogram.empty() ? sample.value : static_cast<double>(sample.histogram[0].count());
      }
    }
    return 0.0;
  };
  EXPECT_EQ(value("kubelet_runtime_operations_total", "version"), 2) << "of both clients";
  EXPECT_EQ(value("kubelet_runtime_operations_duration_seconds", "version"), 2);
  EXPECT_EQ(value("kubelet_runtime_operations_errors_total", "version"), 0);
  EXPECT_EQ(value("kubelet_runtime_operations_errors_total", "start_container"), 1);
  EXPECT_EQ(value("kubelet_runtime_operations_total", "run_podsandbox"), 1);
  EXPECT_EQ(value("kubelet_run_podsandbox_duration_seconds", "kata"), 1);
  EXPECT_EQ(value("kubelet_run_podsandbox_errors_total", "kata"), 1);
}

TEST_F(ClientTest, ADeadlineEndsACallThatHangs) {
  serve();
  Loop loop(real_clock(), "client-test");
  auto client = connect_runtime(loop, socket_);
  auto status = run(loop, client->status(std::chrono::milliseconds(50)));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind(), Kind::timeout);
}

TEST_F(ClientTest, ARuntimeThatIsAwayIsUnavailableUntilItComes) {
  Loop loop(real_clock(), "client-test");
  auto client = connect_runtime(loop, socket_);
  auto away = run(loop, client->version(kLong));
  ASSERT_FALSE(away);
  EXPECT_EQ(away.error().kind(), Kind::unavailable);
  serve();
  auto end = std::chrono::steady_clock::now() + kLong;
  auto version = run(loop, client->version(kLong));
  while (!version && std::chrono::steady_clock::now() < end) {
    version = run(loop, client->version(kLong));
  }
  EXPECT_TRUE(version) << version.error().message();
}

TEST_F(ClientTest, ImagesMayBeAnothersService) {
  const auto apart = dir_ + "/images.sock";
  SmallImages images;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + apart, grpc::InsecureServerCredentials());
  builder.RegisterService(&images);
  const auto server = builder.BuildAndStart();
  serve();
  Loop loop(real_clock(), "client-test");
  auto client = connect_runtime(loop, socket_, nullptr, apart);
  const auto listed = run(loop, client->list_images(kLong));
  ASSERT_TRUE(listed) << listed.error().message();
  EXPECT_EQ(listed->front().id, "sha256:apart");
  EXPECT_EQ(run(loop, client->version(kLong))->name, "faulty") << "the rest is the runtime's";
  EXPECT_FALSE(run(loop, connect_runtime(loop, socket_)->list_images(kLong))) << "which has no images";
}

TEST_F(ClientTest, EventsComeAgainAfterTheStreamAndTheRuntimeEnded) {
  serve();
  Loop loop(real_clock(), "client-test");
  auto calls = std::make_shared<CallStats>();
  auto client = connect_runtime(loop, socket_, calls);
  auto work = asio::make_work_guard(loop.io());
  std::vector<std::string> seen;
  int resyncs = 0;
  client->watch_events([&](const ContainerEvent& event) { seen.push_back(event.container_id); }, [&] { ++resyncs; });
  auto run_until = [&](size_t events) {
    auto end = std::chrono::steady_clock::now() + kLong;
    while (seen.size() < events && std::chrono::steady_clock::now() < end) {
      loop.io().run_one_for(std::chrono::milliseconds(100));
    }
  };
  run_until(2);
  EXPECT_EQ(seen, (std::vector<std::string>{"c1", "c2"})) << "the first stream was ended by the runtime";
  stop();
  serve();
  run_until(3);
  EXPECT_EQ(seen.back(), "c3");
  EXPECT_EQ(resyncs, 3) << "one for each stream, for events may have been lost in between";
  Stats told;
  calls->collect(told);
  const auto row = [&told](const char* name) { return told.families().at(name).samples.at(0); };
  EXPECT_EQ(row("kubelet_evented_pleg_connection_success_count").value, 3);
  EXPECT_GE(row("kubelet_evented_pleg_connection_error_count").value, 2) << "both ends";
  EXPECT_EQ(row("kubelet_evented_pleg_connection_latency_seconds").histogram.at(0).count(), 3U);
}

TEST_F(ClientTest, ARuntimeWithoutEventsIsListed) {
  runtime_.tells_events = false;
  serve();
  Loop loop(real_clock(), "client-test");
  auto client = connect_runtime(loop, socket_);
  auto work = asio::make_work_guard(loop.io());
  std::vector<ContainerEvent> seen;
  int resyncs = 0;
  client->watch_events([&](const ContainerEvent& event) { seen.push_back(event); }, [&] { ++resyncs; });
  for (auto end = std::chrono::steady_clock::now() + kLong; seen.empty() && std::chrono::steady_clock::now() < end;) {
    loop.io().run_one_for(std::chrono::milliseconds(100));
  }
  ASSERT_EQ(seen.size(), 1U) << "what was there first is no news";
  EXPECT_EQ(seen[0].container_id, "c");
  EXPECT_EQ(seen[0].kind, ContainerEventKind::stopped);
  EXPECT_EQ(seen[0].pod.uid, "uid");
  EXPECT_EQ(resyncs, 1);
}

TEST(Relist, TellsWhatDiffers) {
  Relist relist;
  SandboxStatus sandbox{.id = "s", .metadata = {.name = "p", .uid = "u"}, .ready = true};
  ContainerStatus container{.id = "c", .sandbox_id = "s", .state = ContainerState::created};
  EXPECT_TRUE(relist.update({sandbox}, {container}).empty());
  container.state = ContainerState::running;
  auto started = relist.update({sandbox}, {container});
  ASSERT_EQ(started.size(), 1U);
  EXPECT_EQ(started[0].kind, ContainerEventKind::started);
  EXPECT_TRUE(relist.update({sandbox}, {container}).empty());
  sandbox.ready = false;
  EXPECT_EQ(relist.update({sandbox}, {}).size(), 2U) << "the sandbox stopped, the container went";
  auto gone = relist.update({}, {});
  ASSERT_EQ(gone.size(), 1U);
  EXPECT_EQ(gone[0].kind, ContainerEventKind::removed);
  EXPECT_EQ(gone[0].pod.uid, "u");
}

}  // namespace
}  // namespace keelson::cri
