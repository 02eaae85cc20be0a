// SPDX-License-Identifier: Apache-2.0
// many_pods.h.
#include "tests/chaos/many_pods.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/chaos/inventory.h"

namespace keelson::chaos {

namespace fs = std::filesystem;

namespace {

constexpr int kAtOnce = 8;
constexpr int kFirst = 100;
constexpr int kMostGrowth = 2048;  // KiB

struct Weight {
  int private_kib = 0;
  size_t files = 0;
  size_t threads = 0;
  size_t mounts = 0;
  size_t cgroups = 0;
  size_t namespaces = 0;
  size_t links = 0;
  uintmax_t store_kib = 0;
  bool same(const Weight& other) const {
    return files == other.files && mounts == other.mounts && cgroups == other.cgroups &&
           namespaces == other.namespaces && links == other.links;
  }
};

size_t entries(const std::string& folder) {
  std::error_code ignored;
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder, ignored), fs::directory_iterator()));
}

Weight weigh(const Node& node) {
  Weight out;
  const auto process = fmt::format("/proc/{}", node.pid());
  std::ifstream rollup(process + "/smaps_rollup");
  for (std::string line; std::getline(rollup, line);) {
    if (line.starts_with("Private_")) {
      out.private_kib += std::stoi(line.substr(line.find(':') + 1));
    }
  }
  auto seen = found(node);
  out.files = entries(process + "/fd");
  out.threads = entries(process + "/task");
  out.mounts = mounts_of(node).size();
  out.cgroups = seen.cgroups.size();
  out.namespaces = seen.namespaces.size();
  out.links = seen.links;
  std::error_code ignored;
  for (const char* name : {"/runtime.db", "/runtime.db-wal"}) {
    auto size = fs::file_size(node.state_dir() + name, ignored);
    out.store_kib += ignored ? 0 : size / 1024;
  }
  return out;
}

template <class Method, class Request, class Response>
bool call(v1::RuntimeService::Stub& stub, Method method, const Request& request, Response& response) {
  grpc::ClientContext context;
  auto status = (stub.*method)(&context, request, &response);
  if (!status.ok()) {
    fmt::print("{}\n", status.error_message());
  }
  return status.ok();
}

bool one_pod(const Node& node, v1::RuntimeService::Stub& stub, int number) {
  using Stub = v1::RuntimeService::Stub;
  v1::RunPodSandboxRequest run;
  auto& config = *run.mutable_config();
  const auto name = fmt::format("pod-{}", number);
  config.mutable_metadata()->set_name(name);
  config.mutable_metadata()->set_uid(name);
  config.mutable_metadata()->set_namespace_("many");
  config.set_hostname(name);
  config.set_log_directory(node.home() + "/logs");
  config.mutable_linux()->set_cgroup_parent(node.cgroup());
  v1::RunPodSandboxResponse ran;
  if (!call(stub, &Stub::RunPodSandbox, run, ran)) {
    return false;
  }
  v1::CreateContainerRequest create;
  create.set_pod_sandbox_id(ran.pod_sandbox_id());
  *create.mutable_sandbox_config() = config;
  create.mutable_config()->mutable_metadata()->set_name("main");
  create.mutable_config()->mutable_image()->set_image("keelson.example/busybox:1");
  create.mutable_config()->add_command("sleep");
  create.mutable_config()->add_command("1000");
  create.mutable_config()->set_log_path(fmt::format("{}.log", number % kAtOnce));
  v1::CreateContainerResponse created;
  v1::StartContainerRequest start;
  v1::StartContainerResponse started;
  bool sound = call(stub, &Stub::CreateContainer, create, created);
  start.set_container_id(created.container_id());
  sound = sound && call(stub, &Stub::StartContainer, start, started);
  v1::StopPodSandboxRequest stop;
  stop.set_pod_sandbox_id(ran.pod_sandbox_id());
  v1::StopPodSandboxResponse stopped;
  v1::RemovePodSandboxRequest remove;
  remove.set_pod_sandbox_id(ran.pod_sandbox_id());
  v1::RemovePodSandboxResponse removed;
  return call(stub, &Stub::StopPodSandbox, stop, stopped) && call(stub, &Stub::RemovePodSandbox, remove, removed) &&
         sound;
}

bool pods_up_to(const Node& node, std::atomic<int>& next, int end) {
  std::atomic<bool> sound = true;
  std::vector<std::jthread> threads;
  for (int i = 0; i < kAtOnce; ++i) {
    threads.emplace_back([&] {
      auto stub = node.runtime();
      for (int number = next++; number < end && sound; number = next++) {
        sound = one_pod(node, *stub, number) && sound;
      }
    });
  }
  threads.clear();
  next = end;
  return sound;
}

}  // namespace

bool run_many_pods(Node& node, int pods) {
  if (!node.start()) {
    fmt::print("the daemon does not start\n{}", node.log_tail());
    return false;
  }
  std::vector<int> marks = {std::min(kFirst, pods)};
  for (int part : {10, 4, 2, 1}) {
    if (pods / part > marks.back()) {
      marks.push_back(pods / part);
    }
  }
  fmt::print("{:>7} {:>12} {:>6} {:>8} {:>7} {:>8} {:>6} {:>6} {:>10}\n", "pods", "private KiB", "files", "threads",
             "mounts", "cgroups", "netns", "links", "store KiB");
  std::atomic<int> next = 0;
  std::vector<Weight> weights;
  for (int mark : marks) {
    if (!pods_up_to(node, next, mark)) {
      fmt::print("{}", node.log_tail());
      return false;
    }
    std::this_thread::sleep_for(std::chrono::seconds(2));  // the kernel takes links and namespaces down a moment later
    weights.push_back(weigh(node));
    const auto& w = weights.back();
    fmt::print("{:>7} {:>12} {:>6} {:>8} {:>7} {:>8} {:>6} {:>6} {:>10}\n", mark, w.private_kib, w.files, w.threads,
               w.mounts, w.cgroups, w.namespaces, w.links, w.store_kib);
    std::fflush(stdout);
  }
  auto left = leftovers(node);
  fmt::print("{}{}", fmt::join(left, "\n"), left.empty() ? "" : "\n");
  const auto& early = weights[weights.size() > 1 ? 1 : 0];
  return left.empty() && weights.back().same(weights.front()) &&
         weights.back().private_kib - early.private_kib <= kMostGrowth;
}

}  // namespace keelson::chaos
