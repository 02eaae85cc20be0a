// SPDX-License-Identifier: Apache-2.0
// caller.h.
#include "tests/chaos/caller.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <cctype>
#include <set>
#include <thread>

namespace keelson::chaos {

namespace {

using Runtime = v1::RuntimeService::Stub;
using Images = v1::ImageService::Stub;

constexpr size_t kMostSandboxes = 40;

const char* name_of(int code) {
  static const char* const kNames[] = {
      "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
      "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
      "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
      "DATA_LOSS", "UNAUTHENTICATED"};
  return kNames[code];
}

/// Digits and ids become '#', so that messages of one kind meet.
std::string kind_of(const std::string& message) {
  std::string out;
  for (size_t at = 0; at < message.size() && out.size() < 300;) {
    auto end = at;
    bool digits = false;
    while (end < message.size() && std::isxdigit(static_cast<unsigned char>(message[end])) != 0) {
      digits |= std::isdigit(static_cast<unsigned char>(message[end])) != 0;
      ++end;
    }
    if (digits) {
      out += '#';
      at = end;
    } else if (end > at) {
      out += message.substr(at, end - at);
      at = end;
    } else {
      out += message[at++];
    }
  }
  return out;
}

}  // namespace

void Ledger::remember(const std::string& sandbox, const v1::PodSandboxConfig& config) {
  sandboxes.add(sandbox);
  std::lock_guard lock(mutex_);
  configs_[sandbox] = config;
}

v1::PodSandboxConfig Ledger::config_of(const std::string& sandbox) const {
  std::lock_guard lock(mutex_);
  auto found = configs_.find(sandbox);
  return found == configs_.end() ? v1::PodSandboxConfig() : found->second;
}

void Ledger::note(const std::string& method, const grpc::Status& status) {
  std::lock_guard lock(mutex_);
  ++counts_[method][status.error_code()];
  static const std::set<int> kSuspect = {grpc::INTERNAL, grpc::UNKNOWN, grpc::RESOURCE_EXHAUSTED, grpc::DATA_LOSS};
  if (kSuspect.contains(status.error_code())) {
    ++messages_[method + ": " + kind_of(status.error_message())];
  }
}

uint64_t Ledger::calls() const {
  std::lock_guard lock(mutex_);
  uint64_t sum = 0;
  for (const auto& [method, codes] : counts_) {
    for (const auto& [code, count] : codes) {
      sum += count;
    }
  }
  return sum;
}

std::string Ledger::report() const {
  std::lock_guard lock(mutex_);
  std::string out;
  for (const auto& [method, codes] : counts_) {
    out += fmt::format("{:26}", method);
    for (const auto& [code, count] : codes) {
      out += fmt::format(" {} {}", name_of(code), count);
    }
    out += '\n';
  }
  for (const auto& [message, count] : messages_) {
    out += fmt::format("{:6} x {}\n", count, message);
  }
  return out;
}

template <class Stub, class Method, class Request, class Response>
grpc::Status Caller::call(const std::string& name, const std::shared_ptr<Stub>& stub, Method method,
                          const Request& request, Response& response) {
  grpc::ClientContext context;
  auto patience = std::chrono::milliseconds(dice_.chance(20) ? 1 + dice_.roll(60) : 30'000);
  context.set_deadline(std::chrono::system_clock::now() + patience);
  auto status = (stub.get()->*method)(&context, request, &response);
  ledger_.note(name, status);
  if (status.error_code() == grpc::UNAVAILABLE) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the daemon is being started again
  }
  return status;
}

void Caller::step() {
  const int kind = dice_.roll(100);
  if (kind < 14) {
    run_sandbox();
  } else if (kind < 36) {
    create_container();
  } else if (kind < 60) {
    end_something();
  } else if (kind < 80) {
    use_container();
  } else if (kind < 92) {
    ask();
  } else if (kind < 97) {
    ask_images();
  } else {
    learn();
  }
}

void Caller::run_sandbox() {
  if (ledger_.sandboxes.size() >= kMostSandboxes) {
    return end_something();
  }
  auto request = random_sandbox(dice_, node_);
  v1::RunPodSandboxResponse response;
  if (call("RunPodSandbox", node_.runtime(), &Runtime::RunPodSandbox, request, response).ok()) {
    ledger_.remember(response.pod_sandbox_id(), request.config());
  }
}

void Caller::create_container() {
  const auto sandbox = ledger_.sandboxes.pick(dice_);
  auto request = random_container(dice_, node_, sandbox, ledger_.config_of(sandbox));
  v1::CreateContainerResponse response;
  if (!call("CreateContainer", node_.runtime(), &Runtime::CreateContainer, request, response).ok()) {
    return;
  }
  ledger_.containers.add(response.container_id());
  if (dice_.chance(80)) {
    v1::StartContainerRequest start;
    start.set_container_id(response.container_id());
    v1::StartContainerResponse started;
    call("StartContainer", node_.runtime(), &Runtime::StartContainer, start, started);
  }
}

void Caller::end_something() {
  const auto container = ledger_.containers.pick(dice_);
  const auto sandbox = ledger_.sandboxes.pick(dice_);
  switch (dice_.roll(4)) {
    case 0: {
      v1::StopContainerRequest request;
      request.set_container_id(container);
      request.set_timeout(dice_.roll(3));
      v1::StopContainerResponse response;
      call("StopContainer", node_.runtime(), &Runtime::StopContainer, request, response);
      break;
    }
    case 1: {
      v1::RemoveContainerRequest request;
      request.set_container_id(container);
      v1::RemoveContainerResponse response;
      if (call("RemoveContainer", node_.runtime(), &Runtime::RemoveContainer, request, response).ok()) {
        ledger_.containers.remove(container);
      }
      break;
    }
    case 2: {
      v1::StopPodSandboxRequest request;
      request.set_pod_sandbox_id(sandbox);
      v1::StopPodSandboxResponse response;
      call("StopPodSandbox", node_.runtime(), &Runtime::StopPodSandbox, request, response);
      break;
    }
    default: {
      v1::RemovePodSandboxRequest request;
      request.set_pod_sandbox_id(sandbox);
      v1::RemovePodSandboxResponse response;
      if (call("RemovePodSandbox", node_.runtime(), &Runtime::RemovePodSandbox, request, response).ok()) {
        ledger_.sandboxes.remove(sandbox);
      }
    }
  }
}

void Caller::use_container() {
  const auto container = ledger_.containers.pick(dice_);
  switch (dice_.roll(7)) {
    case 0: {
      v1::StartContainerRequest request;
      request.set_container_id(container);
      v1::StartContainerResponse response;
      call("StartContainer", node_.runtime(), &Runtime::StartContainer, request, response);
      break;
    }
    case 1:
    case 2: {
      static const std::vector<std::vector<std::string>> kExecs = {{"true"},
                                                                   {"sleep", "100"},
                                                                   {"no-such"},
                                                                   {"sh", "-c", "sleep 100 & echo x"},
                                                                   {"head", "-c", "100000", "/dev/zero"},
                                                                   {}};
      v1::ExecSyncRequest request;
      request.set_container_id(container);
      for (const auto& word : dice_.one_of(kExecs)) {
        request.add_cmd(word);
      }
      request.set_timeout(1);
      v1::ExecSyncResponse response;
      call("ExecSync", node_.runtime(), &Runtime::ExecSync, request, response);
      break;
    }
    case 3: {
      v1::UpdateContainerResourcesRequest request;
      request.set_container_id(container);
      *request.mutable_linux() = random_resources(dice_);
      v1::UpdateContainerResourcesResponse response;
      call("UpdateContainerResources", node_.runtime(), &Runtime::UpdateContainerResources, request, response);
      break;
    }
    case 4: {
      v1::ReopenContainerLogRequest request;
      request.set_container_id(container);
      v1::ReopenContainerLogResponse response;
      call("ReopenContainerLog", node_.runtime(), &Runtime::ReopenContainerLog, request, response);
      break;
    }
    case 5: {
      v1::ExecRequest request;
      request.set_container_id(container);
      request.add_cmd("sh");
      request.set_stdout(dice_.chance(80));
      request.set_tty(dice_.chance(30));
      v1::ExecResponse response;
      call("Exec", node_.runtime(), &Runtime::Exec, request, response);
      break;
    }
    default: {
      v1::CheckpointContainerRequest request;
      request.set_container_id(container);
      v1::CheckpointContainerResponse response;
      call("CheckpointContainer", node_.runtime(), &Runtime::CheckpointContainer, request, response);
    }
  }
}

void Caller::ask() {
  switch (dice_.roll(7)) {
    case 0: {
      v1::ContainerStatusRequest request;
      request.set_container_id(ledger_.containers.pick(dice_));
      request.set_verbose(dice_.chance(50));
      v1::ContainerStatusResponse response;
      call("ContainerStatus", node_.runtime(), &Runtime::ContainerStatus, request, response);
      break;
    }
    case 1: {
      v1::PodSandboxStatusRequest request;
      request.set_pod_sandbox_id(ledger_.sandboxes.pick(dice_));
      request.set_verbose(dice_.chance(50));
      v1::PodSandboxStatusResponse response;
      call("PodSandboxStatus", node_.runtime(), &Runtime::PodSandboxStatus, request, response);
      break;
    }
    case 2: {
      v1::ContainerStatsRequest request;
      request.set_container_id(ledger_.containers.pick(dice_));
      v1::ContainerStatsResponse response;
      call("ContainerStats", node_.runtime(), &Runtime::ContainerStats, request, response);
      break;
    }
    case 3: {
      v1::ListPodSandboxStatsResponse response;
      call("ListPodSandboxStats", node_.runtime(), &Runtime::ListPodSandboxStats, v1::ListPodSandboxStatsRequest(),
           response);
      break;
    }
    case 4: {
      v1::ListPodSandboxMetricsResponse response;
      call("ListPodSandboxMetrics", node_.runtime(), &Runtime::ListPodSandboxMetrics,
           v1::ListPodSandboxMetricsRequest(), response);
      break;
    }
    case 5: {
      v1::StatusRequest request;
      request.set_verbose(true);
      v1::StatusResponse response;
      call("Status", node_.runtime(), &Runtime::Status, request, response);
      break;
    }
    default: {
      v1::PortForwardRequest request;
      request.set_pod_sandbox_id(ledger_.sandboxes.pick(dice_));
      request.add_port(dice_.chance(20) ? 99999 : 80);
      v1::PortForwardResponse response;
      call("PortForward", node_.runtime(), &Runtime::PortForward, request, response);
    }
  }
}

void Caller::ask_images() {
  v1::ImageSpec image;
  image.set_image(dice_.chance(50) ? "keelson.example/busybox:1" : dice_.chance(50) ? "" : "no/such@sha256:0");
  if (dice_.chance(50)) {
    v1::ImageStatusRequest request;
    *request.mutable_image() = image;
    v1::ImageStatusResponse response;
    call("ImageStatus", node_.images(), &Images::ImageStatus, request, response);
  } else if (dice_.chance(50)) {
    v1::RemoveImageRequest request;
    request.mutable_image()->set_image("keelson.example/none:1");
    v1::RemoveImageResponse response;
    call("RemoveImage", node_.images(), &Images::RemoveImage, request, response);
  } else {
    v1::ImageFsInfoResponse response;
    call("ImageFsInfo", node_.images(), &Images::ImageFsInfo, v1::ImageFsInfoRequest(), response);
  }
}

/// What calls that were given up have made is heard of here.
void Caller::learn() {
  v1::ListPodSandboxResponse sandboxes;
  if (call("ListPodSandbox", node_.runtime(), &Runtime::ListPodSandbox, v1::ListPodSandboxRequest(), sandboxes).ok()) {
    for (const auto& one : sandboxes.items()) {
      ledger_.sandboxes.add(one.id());
    }
  }
  v1::ListContainersResponse containers;
  if (call("ListContainers", node_.runtime(), &Runtime::ListContainers, v1::ListContainersRequest(), containers).ok()) {
    for (const auto& one : containers.containers()) {
      ledger_.containers.add(one.id());
    }
  }
}

}  // namespace keelson::chaos
