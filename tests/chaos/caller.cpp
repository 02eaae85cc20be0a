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

/// "runtime.v1.StopContainerRequest" is StopContainer's.
std::string method_of(const std::string& request) {
  const auto start = request.rfind('.') + 1;
  return request.substr(start, request.size() - start - std::string_view("Request").size());
}

/// Requests that name one thing alone, or nothing.
auto about_container(const std::string& id) {
  return [id](auto& request) { request.set_container_id(id); };
}
auto about_sandbox(const std::string& id) {
  return [id](auto& request) { request.set_pod_sandbox_id(id); };
}
constexpr auto kAll = [](auto&) {};

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

std::shared_ptr<Runtime> Caller::stub(const Runtime*) const {
  return node_.runtime();
}

std::shared_ptr<Images> Caller::stub(const Images*) const {
  return node_.images();
}

template <class Stub, class Request, class Response, class Fill>
std::optional<Response> Caller::call(Rpc<Stub, Request, Response> rpc, Fill fill) {
  Request request;
  fill(request);
  Response response;
  grpc::ClientContext context;
  auto patience = std::chrono::milliseconds(dice_.chance(20) ? 1 + dice_.roll(60) : 30'000);
  context.set_deadline(std::chrono::system_clock::now() + patience);
  auto status = (stub(static_cast<const Stub*>(nullptr)).get()->*rpc)(&context, request, &response);
  ledger_.note(method_of(request.GetTypeName()), status);
  if (status.error_code() == grpc::UNAVAILABLE) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the daemon is being started again
  }
  return status.ok() ? std::optional(std::move(response)) : std::nullopt;
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
  const auto wanted = random_sandbox(dice_, node_);
  if (const auto made = call(&Runtime::RunPodSandbox, [&](auto& request) { request = wanted; })) {
    ledger_.remember(made->pod_sandbox_id(), wanted.config());
  }
}

void Caller::create_container() {
  const auto sandbox = ledger_.sandboxes.pick(dice_);
  const auto made = call(&Runtime::CreateContainer, [&](auto& request) {
    request = random_container(dice_, node_, sandbox, ledger_.config_of(sandbox));
  });
  if (!made) {
    return;
  }
  ledger_.containers.add(made->container_id());
  if (dice_.chance(80)) {
    call(&Runtime::StartContainer, about_container(made->container_id()));
  }
}

void Caller::end_something() {
  const auto container = ledger_.containers.pick(dice_);
  const auto sandbox = ledger_.sandboxes.pick(dice_);
  switch (dice_.roll(4)) {
    case 0:
      call(&Runtime::StopContainer, [&](auto& request) {
        request.set_container_id(container);
        request.set_timeout(dice_.roll(3));
      });
      break;
    case 1:
      if (call(&Runtime::RemoveContainer, about_container(container))) {
        ledger_.containers.remove(container);
      }
      break;
    case 2:
      call(&Runtime::StopPodSandbox, about_sandbox(sandbox));
      break;
    default:
      if (call(&Runtime::RemovePodSandbox, about_sandbox(sandbox))) {
        ledger_.sandboxes.remove(sandbox);
      }
  }
}

void Caller::exec_sync(const std::string& container) {
  static const std::vector<std::vector<std::string>> kExecs = {{"true"},
                                                               {"sleep", "100"},
                                                               {"no-such"},
                                                               {"sh", "-c", "sleep 100 & echo x"},
                                                               {"head", "-c", "100000", "/dev/zero"},
                                                               {}};
  call(&Runtime::ExecSync, [&](auto& request) {
    request.set_container_id(container);
    for (const auto& word : dice_.one_of(kExecs)) {
      request.add_cmd(word);
    }
    request.set_timeout(1);
  });
}

void Caller::use_container() {
  const auto container = ledger_.containers.pick(dice_);
  switch (dice_.roll(7)) {
    case 0:
      call(&Runtime::StartContainer, about_container(container));
      break;
    case 1:
    case 2:
      exec_sync(container);
      break;
    case 3:
      call(&Runtime::UpdateContainerResources, [&](auto& request) {
        request.set_container_id(container);
        *request.mutable_linux() = random_resources(dice_);
      });
      break;
    case 4:
      call(&Runtime::ReopenContainerLog, about_container(container));
      break;
    case 5:
      call(&Runtime::Exec, [&](auto& request) {
        request.set_container_id(container);
        request.add_cmd("sh");
        request.set_stdout(dice_.chance(80));
        request.set_tty(dice_.chance(30));
      });
      break;
    default:
      call(&Runtime::CheckpointContainer, about_container(container));
  }
}

void Caller::ask() {
  switch (dice_.roll(7)) {
    case 0:
      call(&Runtime::ContainerStatus, [&](auto& request) {
        request.set_container_id(ledger_.containers.pick(dice_));
        request.set_verbose(dice_.chance(50));
      });
      break;
    case 1:
      call(&Runtime::PodSandboxStatus, [&](auto& request) {
        request.set_pod_sandbox_id(ledger_.sandboxes.pick(dice_));
        request.set_verbose(dice_.chance(50));
      });
      break;
    case 2:
      call(&Runtime::ContainerStats, about_container(ledger_.containers.pick(dice_)));
      break;
    case 3:
      call(&Runtime::ListPodSandboxStats, kAll);
      break;
    case 4:
      call(&Runtime::ListPodSandboxMetrics, kAll);
      break;
    case 5:
      call(&Runtime::Status, [](auto& request) { request.set_verbose(true); });
      break;
    default:
      call(&Runtime::PortForward, [&](auto& request) {
        request.set_pod_sandbox_id(ledger_.sandboxes.pick(dice_));
        request.add_port(dice_.chance(20) ? 99999 : 80);
      });
  }
}

void Caller::ask_images() {
  const auto* name = dice_.chance(50) ? "keelson.example/busybox:1" : dice_.chance(50) ? "" : "no/such@sha256:0";
  if (dice_.chance(50)) {
    call(&Images::ImageStatus, [&](auto& request) { request.mutable_image()->set_image(name); });
  } else if (dice_.chance(50)) {
    call(&Images::RemoveImage, [](auto& request) { request.mutable_image()->set_image("keelson.example/none:1"); });
  } else {
    call(&Images::ImageFsInfo, kAll);
  }
}

/// What calls that were given up have made is heard of here.
void Caller::learn() {
  if (const auto sandboxes = call(&Runtime::ListPodSandbox, kAll)) {
    for (const auto& one : sandboxes->items()) {
      ledger_.sandboxes.add(one.id());
    }
  }
  if (const auto containers = call(&Runtime::ListContainers, kAll)) {
    for (const auto& one : containers->containers()) {
      ledger_.containers.add(one.id());
    }
  }
}

}  // namespace keelson::chaos
