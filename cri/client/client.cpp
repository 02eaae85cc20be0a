// SPDX-License-Identifier: Apache-2.0
// client.h: each call's request and answer, in Protobuf.
#include "cri/client/client.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "common/rpc/calls.h"
#include "common/rpc/channel.h"
#include "cri/client/convert.h"
#include "cri/client/event_poll.h"
#include "cri/client/event_stream.h"
#include "cri/proto/keelson.grpc.pb.h"

namespace keelson::cri {

namespace {

constexpr int kMaxMessage = 16 << 20;

Result<> done(const auto& response) {
  if (!response) {
    return std::unexpected(response.error());
  }
  return {};
}

template <class T>
const Error* error_of(const Result<T>& result) {
  return result ? nullptr : &result.error();
}

/// A call that began when this was made. Owns what it needs: answers come when the client has gone, too.
struct Timed {
  Timed(const Clock& c, std::shared_ptr<CallStats> s) : clock(c), stats(std::move(s)), began(c.steady()) {}
  Duration past() const { return clock.steady() - began; }

  const Clock& clock;
  std::shared_ptr<CallStats> stats;
  SteadyTime began;
};

template <class Response>
Task<Response> counted(Timed timed, const char* operation, Task<Response> work) {
  auto answer = co_await std::move(work);
  timed.stats->count(operation, timed.past(), error_of(answer));
  co_return answer;
}

class Client : public RuntimeClient {
 public:
  Client(Loop& loop, const std::string& socket, std::shared_ptr<CallStats> stats, const std::string& image_socket)
      : loop_(loop),
        calls_(std::make_shared<rpc::OpenCalls>()),
        stats_(stats ? std::move(stats) : std::make_shared<CallStats>()),
        watch_(std::make_shared<Watch>(loop, calls_, stats_)) {
    const auto channel = rpc::channel_to(socket, kMaxMessage);
    runtime_ = v1::RuntimeService::NewStub(channel);
    images_ = v1::ImageService::NewStub(image_socket.empty() ? channel : rpc::channel_to(image_socket, kMaxMessage));
    transfer_ = ::keelson::runtime::v1::ImageTransfer::NewStub(channel);
    watch_->stub = runtime_.get();
  }

  ~Client() override {
    watch_->closed = true;
    watch_->timer.cancel();
    calls_->cancel_and_wait();
  }

  Task<RuntimeVersion> version(Duration deadline) override {
    KEELSON_CO_TRY(auto answer, co_await ask("version", &RuntimeAsync::Version, v1::VersionRequest(), deadline));
    co_return RuntimeVersion{answer.runtime_name(), answer.runtime_version(), answer.runtime_api_version()};
  }

  Task<RuntimeStatus> status(Duration deadline) override {
    KEELSON_CO_TRY(auto answer, co_await ask("status", &RuntimeAsync::Status, v1::StatusRequest(), deadline));
    RuntimeStatus status;
    for (const auto& condition : answer.status().conditions()) {
      status.conditions.push_back({condition.type(), condition.status(), condition.reason(), condition.message()});
    }
    for (const auto& handler : answer.runtime_handlers()) {
      status.handlers.push_back(
          {handler.name(), handler.features().user_namespaces(), handler.features().recursive_read_only_mounts()});
    }
    if (answer.has_features()) {
      status.supplemental_groups_policy = answer.features().supplemental_groups_policy();
    }
    co_return status;
  }

  Task<> update_runtime_config(std::string pod_cidr, Duration deadline) override {
    v1::UpdateRuntimeConfigRequest request;
    request.mutable_runtime_config()->mutable_network_config()->set_pod_cidr(pod_cidr);
    co_return done(
        co_await ask("update_runtime_config", &RuntimeAsync::UpdateRuntimeConfig, std::move(request), deadline));
  }

  Task<std::string> run_pod_sandbox(SandboxConfig config, std::string handler, Duration deadline) override {
    v1::RunPodSandboxRequest request;
    *request.mutable_config() = to_proto(config);
    request.set_runtime_handler(handler);
    const Timed timed(loop_.clock(), stats_);
    auto answer = co_await ask("run_podsandbox", &RuntimeAsync::RunPodSandbox, std::move(request), deadline);
    timed.stats->count_sandbox(handler, timed.past(), error_of(answer));
    if (!answer) {
      co_return std::unexpected(std::move(answer).error());
    }
    co_return answer->pod_sandbox_id();
  }

  Task<> stop_pod_sandbox(std::string id, Duration deadline) override {
    v1::StopPodSandboxRequest request;
    request.set_pod_sandbox_id(id);
    co_return done(co_await ask("stop_podsandbox", &RuntimeAsync::StopPodSandbox, std::move(request), deadline));
  }

  Task<> remove_pod_sandbox(std::string id, Duration deadline) override {
    v1::RemovePodSandboxRequest request;
    request.set_pod_sandbox_id(id);
    co_return done(co_await ask("remove_podsandbox", &RuntimeAsync::RemovePodSandbox, std::move(request), deadline));
  }

  Task<SandboxStatus> pod_sandbox_status(std::string id, Duration deadline) override {
    v1::PodSandboxStatusRequest request;
    request.set_pod_sandbox_id(id);
    KEELSON_CO_TRY(auto answer,
                   co_await ask("podsandbox_status", &RuntimeAsync::PodSandboxStatus, std::move(request), deadline));
    co_return from_proto(answer.status());
  }

  Task<std::vector<SandboxStatus>> list_pod_sandboxes(ListFilter filter, Duration deadline) override {
    v1::ListPodSandboxRequest request;
    request.mutable_filter()->set_id(filter.id);
    for (const auto& [key, value] : filter.labels) {
      (*request.mutable_filter()->mutable_label_selector())[key] = value;
    }
    KEELSON_CO_TRY(auto answer,
                   co_await ask("list_podsandbox", &RuntimeAsync::ListPodSandbox, std::move(request), deadline));
    std::vector<SandboxStatus> sandboxes;
    for (const auto& item : answer.items()) {
      sandboxes.push_back(from_proto(item));
    }
    co_return sandboxes;
  }

  Task<std::string> create_container(std::string sandbox_id, ContainerConfig config, SandboxConfig sandbox,
                                     Duration deadline) override {
    v1::CreateContainerRequest request;
    request.set_pod_sandbox_id(sandbox_id);
    *request.mutable_config() = to_proto(config);
    *request.mutable_sandbox_config() = to_proto(sandbox);
    KEELSON_CO_TRY(auto answer,
                   co_await ask("create_container", &RuntimeAsync::CreateContainer, std::move(request), deadline));
    co_return answer.container_id();
  }

  Task<> start_container(std::string id, Duration deadline) override {
    v1::StartContainerRequest request;
    request.set_container_id(id);
    co_return done(co_await ask("start_container", &RuntimeAsync::StartContainer, std::move(request), deadline));
  }

  Task<> stop_container(std::string id, std::chrono::seconds grace, Duration deadline) override {
    v1::StopContainerRequest request;
    request.set_container_id(id);
    request.set_timeout(grace.count());
    co_return done(co_await ask("stop_container", &RuntimeAsync::StopContainer, std::move(request), deadline));
  }

  Task<> remove_container(std::string id, Duration deadline) override {
    v1::RemoveContainerRequest request;
    request.set_container_id(id);
    co_return done(co_await ask("remove_container", &RuntimeAsync::RemoveContainer, std::move(request), deadline));
  }

  Task<ContainerStatus> container_status(std::string id, Duration deadline) override {
    v1::ContainerStatusRequest request;
    request.set_container_id(id);
    KEELSON_CO_TRY(auto answer,
                   co_await ask("container_status", &RuntimeAsync::ContainerStatus, std::move(request), deadline));
    co_return from_proto(answer.status());
  }

  Task<std::vector<ContainerStatus>> list_containers(ListFilter filter, Duration deadline) override {
    v1::ListContainersRequest request;
    request.mutable_filter()->set_id(filter.id);
    request.mutable_filter()->set_pod_sandbox_id(filter.sandbox_id);
    for (const auto& [key, value] : filter.labels) {
      (*request.mutable_filter()->mutable_label_selector())[key] = value;
    }
    KEELSON_CO_TRY(auto answer,
                   co_await ask("list_containers", &RuntimeAsync::ListContainers, std::move(request), deadline));
    std::vector<ContainerStatus> containers;
    for (const auto& item : answer.containers()) {
      containers.push_back(from_proto(item));
    }
    co_return containers;
  }

  Task<> update_container_resources(std::string id, LinuxResources resources, Duration deadline) override {
    v1::UpdateContainerResourcesRequest request;
    request.set_container_id(id);
    *request.mutable_linux() = to_proto(resources);
    co_return done(
        co_await ask("update_container", &RuntimeAsync::UpdateContainerResources, std::move(request), deadline));
  }

  Task<> reopen_container_log(std::string id, Duration deadline) override {
    v1::ReopenContainerLogRequest request;
    request.set_container_id(id);
    co_return done(
        co_await ask("reopen_container_log", &RuntimeAsync::ReopenContainerLog, std::move(request), deadline));
  }

  Task<ExecResult> exec_sync(std::string id, std::vector<std::string> command, Duration limit) override {
    v1::ExecSyncRequest request;
    request.set_container_id(id);
    request.mutable_cmd()->Assign(command.begin(), command.end());
    auto seconds = std::chrono::ceil<std::chrono::seconds>(limit);
    request.set_timeout(seconds.count());
    // The runtime ends it by its own clock; ours is for a runtime that does not.
    KEELSON_CO_TRY(auto answer, co_await ask("exec_sync", &RuntimeAsync::ExecSync, std::move(request),
                                             seconds + std::chrono::seconds(2)));
    co_return ExecResult{answer.stdout(), answer.stderr(), answer.exit_code()};
  }

  Task<std::string> exec(std::string id, StreamRequest wanted, Duration deadline) override {
    v1::ExecRequest request;
    request.set_container_id(id);
    request.mutable_cmd()->Assign(wanted.command.begin(), wanted.command.end());
    request.set_stdin(wanted.in);
    request.set_stdout(wanted.out);
    request.set_stderr(wanted.error && !wanted.tty);
    request.set_tty(wanted.tty);
    KEELSON_CO_TRY(auto answer, co_await ask("exec", &RuntimeAsync::Exec, std::move(request), deadline));
    co_return answer.url();
  }

  Task<std::string> attach(std::string id, StreamRequest wanted, Duration deadline) override {
    v1::AttachRequest request;
    request.set_container_id(id);
    request.set_stdin(wanted.in);
    request.set_stdout(wanted.out);
    request.set_stderr(wanted.error && !wanted.tty);
    request.set_tty(wanted.tty);
    KEELSON_CO_TRY(auto answer, co_await ask("attach", &RuntimeAsync::Attach, std::move(request), deadline));
    co_return answer.url();
  }
  Task<std::string> port_forward(std::string sandbox_id, std::vector<uint16_t> ports, Duration deadline) override {
    v1::PortForwardRequest request;
    request.set_pod_sandbox_id(sandbox_id);
    request.mutable_port()->Assign(ports.begin(), ports.end());
    KEELSON_CO_TRY(auto answer, co_await ask("port_forward", &RuntimeAsync::PortForward, std::move(request), deadline));
    co_return answer.url();
  }

  Task<std::map<std::string, FileUse>> list_writable_layers(Duration deadline) override {
    KEELSON_CO_TRY(auto answer, co_await ask("list_container_stats", &RuntimeAsync::ListContainerStats,
                                             v1::ListContainerStatsRequest(), deadline));
    std::map<std::string, FileUse> layers;
    for (const auto& item : answer.stats()) {
      layers[item.attributes().id()] = use_of(item.writable_layer());
    }
    co_return layers;
  }
  Task<FileUse> image_store(Duration deadline) override {
    KEELSON_CO_TRY(auto answer,
                   co_await ask_images("image_fs_info", &ImageAsync::ImageFsInfo, v1::ImageFsInfoRequest(), deadline));
    FileUse sum;
    for (const auto& item : answer.image_filesystems()) {
      auto use = use_of(item);
      sum.mountpoint = std::move(use.mountpoint);
      sum.bytes += use.bytes;
      sum.inodes += use.inodes;
    }
    co_return sum;
  }

  Task<> checkpoint_container(std::string id, std::string file, int64_t seconds, Duration deadline) override {
    v1::CheckpointContainerRequest request;
    request.set_container_id(id);
    request.set_location(file);
    request.set_timeout(seconds);
    co_return done(
        co_await ask("checkpoint_container", &RuntimeAsync::CheckpointContainer, std::move(request), deadline));
  }

  Task<std::vector<Image>> list_images(Duration deadline) override {
    KEELSON_CO_TRY(auto answer,
                   co_await ask_images("list_images", &ImageAsync::ListImages, v1::ListImagesRequest(), deadline));
    std::vector<Image> images;
    for (const auto& item : answer.images()) {
      images.push_back(from_proto(item));
    }
    co_return images;
  }

  Task<Image> image_status(std::string image, Duration deadline) override {
    v1::ImageStatusRequest request;
    request.mutable_image()->set_image(image);
    KEELSON_CO_TRY(auto answer,
                   co_await ask_images("image_status", &ImageAsync::ImageStatus, std::move(request), deadline));
    co_return answer.has_image() ? from_proto(answer.image()) : Image{};
  }

  Task<std::string> pull_image(std::string image, AuthConfig auth, SandboxConfig sandbox, Duration deadline) override {
    v1::PullImageRequest request;
    request.mutable_image()->set_image(image);
    *request.mutable_auth() = to_proto(auth);
    *request.mutable_sandbox_config() = to_proto(sandbox);
    KEELSON_CO_TRY(auto answer,
                   co_await ask_images("pull_image", &ImageAsync::PullImage, std::move(request), deadline));
    co_return answer.image_ref();
  }

  Task<> remove_image(std::string image, Duration deadline) override {
    v1::RemoveImageRequest request;
    request.mutable_image()->set_image(image);
    co_return done(co_await ask_images("remove_image", &ImageAsync::RemoveImage, std::move(request), deadline));
  }

  Task<std::vector<std::string>> load_image(std::string path, Duration deadline) override {
    ::keelson::runtime::v1::LoadRequest request;
    request.set_path(path);
    KEELSON_CO_TRY(
        auto answer,
        co_await call<TransferAsync, ::keelson::runtime::v1::LoadRequest, ::keelson::runtime::v1::LoadResponse>(
            &loop_.io(), calls_, transfer_->async(), &TransferAsync::Load, std::move(request), deadline));
    co_return std::vector<std::string>(answer.image_refs().begin(), answer.image_refs().end());
  }

  void watch_events(std::function<void(ContainerEvent)> handle, std::function<void()> resync) override {
    watch_->handle = std::move(handle);
    watch_->resync = std::move(resync);
    watch_->poll = [this] {
      watch_->resync();
      asio::co_spawn(loop_.io(), poll_events(&loop_, this, watch_), asio::detached);
    };
    connect_events(watch_);
  }

 private:
  static FileUse use_of(const v1::FilesystemUsage& from) {
    return {.mountpoint = from.fs_id().mountpoint(),
            .bytes = from.used_bytes().value(),
            .inodes = from.inodes_used().value()};
  }
  using RuntimeAsync = v1::RuntimeService::StubInterface::async_interface;
  using ImageAsync = v1::ImageService::StubInterface::async_interface;
  using TransferAsync = ::keelson::runtime::v1::ImageTransfer::StubInterface::async_interface;

  template <class Request, class Response>
  Task<Response> ask(const char* operation,
                     void (RuntimeAsync::*method)(grpc::ClientContext*, const Request*, Response*,
                                                  std::function<void(grpc::Status)>),
                     Request request, Duration deadline) {
    return counted(Timed(loop_.clock(), stats_), operation,
                   rpc::call(&loop_.io(), calls_, static_cast<RuntimeAsync*>(runtime_->async()), method,
                             std::move(request), deadline));
  }
  template <class Request, class Response>
  Task<Response> ask_images(const char* operation,
                            void (ImageAsync::*method)(grpc::ClientContext*, const Request*, Response*,
                                                       std::function<void(grpc::Status)>),
                            Request request, Duration deadline) {
    return counted(Timed(loop_.clock(), stats_), operation,
                   rpc::call(&loop_.io(), calls_, static_cast<ImageAsync*>(images_->async()), method,
                             std::move(request), deadline));
  }

  Loop& loop_;
  std::unique_ptr<v1::RuntimeService::Stub> runtime_;
  std::unique_ptr<v1::ImageService::Stub> images_;
  std::unique_ptr<::keelson::runtime::v1::ImageTransfer::Stub> transfer_;
  std::shared_ptr<rpc::OpenCalls> calls_;
  std::shared_ptr<CallStats> stats_;
  std::shared_ptr<Watch> watch_;
};

}  // namespace

std::unique_ptr<RuntimeClient> connect_runtime(Loop& loop, const std::string& socket, std::shared_ptr<CallStats> stats,
                                               const std::string& image_socket) {
  return std::make_unique<Client>(loop, socket, std::move(stats), image_socket);
}

}  // namespace keelson::cri
