// SPDX-License-Identifier: Apache-2.0
// gRPC over the unix socket, one blocking call after the other.
#include "bench/cri_calls.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdio>
#include <filesystem>

#include "bench/machine.h"

namespace keelson::bench {

namespace cri = ::runtime::v1;

namespace {

template <class Stub, class Method, class Request, class Response>
grpc::Status call(Stub& stub, Method method, const Request& request, Response& response) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(120));
  return (stub.*method)(&context, request, &response);
}

}  // namespace

Runtime::Runtime(std::string name, const std::string& socket, std::string cgroup_parent, std::string logs)
    : name_(std::move(name)), cgroup_parent_(std::move(cgroup_parent)), logs_(std::move(logs)) {
  auto channel = grpc::CreateChannel("unix:" + socket, grpc::InsecureChannelCredentials());
  runtime_ = cri::RuntimeService::NewStub(channel);
  images_ = cri::ImageService::NewStub(channel);
}

void Runtime::check(const char* verb, const grpc::Status& status) const {
  if (!status.ok()) {
    std::fprintf(stderr, "bench: %s of %s: %s\n", verb, name_.c_str(), status.error_message().c_str());
    std::exit(1);
  }
}

cri::PodSandboxConfig Runtime::sandbox_config(const std::string& pod) const {
  cri::PodSandboxConfig config;
  config.mutable_metadata()->set_name(pod);
  config.mutable_metadata()->set_uid("uid-" + pod);
  config.mutable_metadata()->set_namespace_("bench");
  config.set_hostname(pod);
  config.set_log_directory(logs_ + "/" + pod);
  std::filesystem::create_directories(config.log_directory());
  config.mutable_linux()->set_cgroup_parent(cgroup_parent_);
  return config;
}

Pod Runtime::start(const std::string& pod, const std::string& image, Samples* samples) {
  const auto config = sandbox_config(pod);
  const auto begin = Clock::now();
  cri::RunPodSandboxRequest run;
  *run.mutable_config() = config;
  cri::RunPodSandboxResponse ran;
  check("RunPodSandbox", call(*runtime_, &cri::RuntimeService::Stub::RunPodSandbox, run, ran));
  const double sandbox_done = since_ms(begin);
  cri::CreateContainerRequest create;
  create.set_pod_sandbox_id(ran.pod_sandbox_id());
  *create.mutable_sandbox_config() = config;
  auto* container = create.mutable_config();
  container->mutable_metadata()->set_name("main");
  container->mutable_image()->set_image(image);
  container->add_command("/bin/sleep");
  container->add_args("3600");
  container->set_log_path("main.log");
  cri::CreateContainerResponse created;
  check("CreateContainer", call(*runtime_, &cri::RuntimeService::Stub::CreateContainer, create, created));
  const double create_done = since_ms(begin);
  cri::StartContainerRequest start;
  start.set_container_id(created.container_id());
  cri::StartContainerResponse started;
  check("StartContainer", call(*runtime_, &cri::RuntimeService::Stub::StartContainer, start, started));
  if (samples != nullptr) {
    const double all = since_ms(begin);
    (*samples)["RunPodSandbox"].push_back(sandbox_done);
    (*samples)["CreateContainer"].push_back(create_done - sandbox_done);
    (*samples)["StartContainer"].push_back(all - create_done);
    (*samples)["pod start (all three)"].push_back(all);
  }
  return {ran.pod_sandbox_id(), created.container_id()};
}

double Runtime::exec(const Pod& pod) {
  cri::ExecSyncRequest request;
  request.set_container_id(pod.container);
  request.add_cmd("/bin/true");
  request.set_timeout(10);
  cri::ExecSyncResponse response;
  const auto begin = Clock::now();
  check("ExecSync", call(*runtime_, &cri::RuntimeService::Stub::ExecSync, request, response));
  return since_ms(begin);
}

void Runtime::remove(const Pod& pod, Samples* samples) {
  const auto begin = Clock::now();
  cri::StopContainerRequest stop;
  stop.set_container_id(pod.container);
  stop.set_timeout(0);
  cri::StopContainerResponse stopped;
  check("StopContainer", call(*runtime_, &cri::RuntimeService::Stub::StopContainer, stop, stopped));
  const double stop_done = since_ms(begin);
  cri::StopPodSandboxRequest stop_sandbox;
  stop_sandbox.set_pod_sandbox_id(pod.sandbox);
  cri::StopPodSandboxResponse stopped_sandbox;
  check("StopPodSandbox", call(*runtime_, &cri::RuntimeService::Stub::StopPodSandbox, stop_sandbox, stopped_sandbox));
  cri::RemovePodSandboxRequest remove;
  remove.set_pod_sandbox_id(pod.sandbox);
  cri::RemovePodSandboxResponse removed;
  check("RemovePodSandbox", call(*runtime_, &cri::RuntimeService::Stub::RemovePodSandbox, remove, removed));
  if (samples != nullptr) {
    const double all = since_ms(begin);
    (*samples)["StopContainer"].push_back(stop_done);
    (*samples)["StopPodSandbox + Remove"].push_back(all - stop_done);
    (*samples)["stop + remove (all)"].push_back(all);
  }
}

void Runtime::pull(const std::string& image) {
  cri::PullImageRequest request;
  request.mutable_image()->set_image(image);
  cri::PullImageResponse response;
  check("PullImage", call(*images_, &cri::ImageService::Stub::PullImage, request, response));
}

void Runtime::remove_image(const std::string& image) {
  cri::RemoveImageRequest request;
  request.mutable_image()->set_image(image);
  cri::RemoveImageResponse response;
  check("RemoveImage", call(*images_, &cri::ImageService::Stub::RemoveImage, request, response));
}

}  // namespace keelson::bench
