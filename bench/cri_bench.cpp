// SPDX-License-Identifier: Apache-2.0
// Pod and container verbs through CRI, ours and a peer's in turns on one machine: start, start of many at once, exec,
// stop, removal; and what the daemons and the keepers of pods weigh. Prints a table with ratios and spread.
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>
#include <thread>

#include <CLI/CLI.hpp>

#include "bench/report.h"
#include "cri/proto/api.grpc.pb.h"

namespace {

namespace cri = runtime::v1;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double since_ms(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

using keelson::bench::Samples;

struct Pod {
  std::string sandbox;
  std::string container;
};

/// One runtime under test. Any failed call ends the bench: a figure of a broken runtime is no figure.
class Runtime {
 public:
  Runtime(std::string name, const std::string& socket, std::string cgroup_parent, std::string logs)
      : name_(std::move(name)), cgroup_parent_(std::move(cgroup_parent)), logs_(std::move(logs)) {
    auto channel = grpc::CreateChannel("unix:" + socket, grpc::InsecureChannelCredentials());
    stub_ = cri::RuntimeService::NewStub(channel);
  }

  Pod start(const std::string& pod, const std::string& image, Samples* samples) {
    auto begin = Clock::now();
    auto config = sandbox_config(pod);
    cri::RunPodSandboxRequest run;
    *run.mutable_config() = config;
    cri::RunPodSandboxResponse ran;
    check("RunPodSandbox", call(&cri::RuntimeService::Stub::RunPodSandbox, run, ran));
    auto sandbox_done = Clock::now();
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
    check("CreateContainer", call(&cri::RuntimeService::Stub::CreateContainer, create, created));
    auto create_done = Clock::now();
    cri::StartContainerRequest start;
    start.set_container_id(created.container_id());
    cri::StartContainerResponse started;
    check("StartContainer", call(&cri::RuntimeService::Stub::StartContainer, start, started));
    if (samples != nullptr) {
      (*samples)["RunPodSandbox"].push_back(std::chrono::duration<double, std::milli>(sandbox_done - begin).count());
      (*samples)["CreateContainer"].push_back(
          std::chrono::duration<double, std::milli>(create_done - sandbox_done).count());
      (*samples)["StartContainer"].push_back(since_ms(create_done));
      (*samples)["pod start (all three)"].push_back(since_ms(begin));
    }
    return {ran.pod_sandbox_id(), created.container_id()};
  }

  void exec(const Pod& pod, Samples& samples) {
    cri::ExecSyncRequest request;
    request.set_container_id(pod.container);
    request.add_cmd("/bin/true");
    request.set_timeout(10);
    cri::ExecSyncResponse response;
    auto begin = Clock::now();
    check("ExecSync", call(&cri::RuntimeService::Stub::ExecSync, request, response));
    samples["ExecSync true"].push_back(since_ms(begin));
  }

  void remove(const Pod& pod, Samples* samples) {
    auto begin = Clock::now();
    cri::StopContainerRequest stop;
    stop.set_container_id(pod.container);
    stop.set_timeout(0);
    cri::StopContainerResponse stopped;
    check("StopContainer", call(&cri::RuntimeService::Stub::StopContainer, stop, stopped));
    auto stop_done = Clock::now();
    cri::StopPodSandboxRequest stop_sandbox;
    stop_sandbox.set_pod_sandbox_id(pod.sandbox);
    cri::StopPodSandboxResponse stopped_sandbox;
    check("StopPodSandbox", call(&cri::RuntimeService::Stub::StopPodSandbox, stop_sandbox, stopped_sandbox));
    cri::RemovePodSandboxRequest remove;
    remove.set_pod_sandbox_id(pod.sandbox);
    cri::RemovePodSandboxResponse removed;
    check("RemovePodSandbox", call(&cri::RuntimeService::Stub::RemovePodSandbox, remove, removed));
    if (samples != nullptr) {
      (*samples)["StopContainer"].push_back(std::chrono::duration<double, std::milli>(stop_done - begin).count());
      (*samples)["StopPodSandbox + Remove"].push_back(since_ms(stop_done));
      (*samples)["stop + remove (all)"].push_back(since_ms(begin));
    }
  }

  const std::string& name() const { return name_; }

 private:
  template <class Method, class Request, class Response>
  grpc::Status call(Method method, const Request& request, Response& response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    return (stub_.get()->*method)(&context, request, &response);
  }

  void check(const char* verb, const grpc::Status& status) const {
    if (!status.ok()) {
      std::fprintf(stderr, "bench: %s of %s: %s\n", verb, name_.c_str(), status.error_message().c_str());
      std::exit(1);
    }
  }

  cri::PodSandboxConfig sandbox_config(const std::string& pod) const {
    cri::PodSandboxConfig config;
    config.mutable_metadata()->set_name(pod);
    config.mutable_metadata()->set_uid("uid-" + pod);
    config.mutable_metadata()->set_namespace_("bench");
    config.set_hostname(pod);
    config.set_log_directory(logs_ + "/" + pod);
    fs::create_directories(config.log_directory());
    config.mutable_linux()->set_cgroup_parent(cgroup_parent_);
    return config;
  }

  std::string name_;
  std::string cgroup_parent_;
  std::string logs_;
  std::unique_ptr<cri::RuntimeService::Stub> stub_;
};

/// The sum of the fields of /proc/PID/smaps_rollup that start with `prefix`, in KiB.
double smaps_kib(const std::string& pid, const std::string& prefix) {
  std::ifstream file("/proc/" + pid + "/smaps_rollup");
  double sum = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(prefix, 0) == 0) {
      sum += std::stod(line.substr(line.find(':') + 1));
    }
  }
  return sum;
}

/// Processes whose command line holds both words: a keeper's name, and a path that is this run's.
std::vector<std::string> processes(const std::string& word, const std::string& mark) {
  std::vector<std::string> pids;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    auto pid = entry.path().filename().string();
    if (pid.find_first_not_of("0123456789") != std::string::npos) {
      continue;
    }
    std::ifstream file(entry.path() / "cmdline");
    std::stringstream text;
    text << file.rdbuf();
    if (text.str().find(word) != std::string::npos && text.str().find(mark) != std::string::npos) {
      pids.push_back(pid);
    }
  }
  return pids;
}

struct Side {
  Runtime* runtime;
  Samples samples;
  std::string keeper;
  std::string keeper_mark;
  std::string daemon_pid;
};

void weigh(Side& side) {
  for (const auto& pid : processes(side.keeper, side.keeper_mark)) {
    side.samples["keeper private memory, KiB"].push_back(smaps_kib(pid, "Private_"));
  }
  side.samples["daemon RSS with 20 pods, MiB"].push_back(smaps_kib(side.daemon_pid, "Rss") / 1024);
}

void many_at_once(Side& side, int round, int count, const std::string& image) {
  std::vector<Pod> pods(static_cast<size_t>(count));
  auto begin = Clock::now();
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < count; ++i) {
      threads.emplace_back([&, i] {
        pods[static_cast<size_t>(i)] = side.runtime->start(fmt::format("many-{}-{}", round, i), image, nullptr);
      });
    }
  }
  side.samples[fmt::format("{} pods at once", count)].push_back(since_ms(begin));
  if (round == 0) {
    weigh(side);
  }
  for (const auto& pod : pods) {
    side.runtime->remove(pod, nullptr);
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Pod verbs through CRI, two runtimes in turns");
  std::string ours;
  std::string theirs;
  std::string image = "keelson.example/busybox:1";
  std::string home;
  std::string our_pid;
  std::string their_pid;
  int runs = 15;
  int many = 20;
  int many_runs = 9;
  app.add_option("--ours", ours, "Our CRI socket")->required();
  app.add_option("--theirs", theirs, "The peer's CRI socket")->required();
  app.add_option("--our-pid", our_pid, "Our daemon")->required();
  app.add_option("--their-pid", their_pid, "The peer's daemon")->required();
  app.add_option("--home", home, "A folder of this run: it marks our keepers, and holds logs")->required();
  app.add_option("--image", image, "An image both have, with /bin/sleep and /bin/true");
  app.add_option("--runs", runs, "Rounds");
  app.add_option("--many", many, "Pods at once");
  app.add_option("--many-runs", many_runs, "Rounds of that");
  CLI11_PARSE(app, argc, argv);

  auto cgroup = "/" + fs::path(home).filename().string();
  Runtime our_runtime("keelson", ours, cgroup, home + "/logs/ours");
  Runtime their_runtime("containerd", theirs, cgroup, home + "/logs/theirs");
  Side sides[2] = {{&our_runtime, {}, "keelson-shim", home, our_pid},
                   {&their_runtime, {}, "containerd-shim-runc-v2", home, their_pid}};
  for (int run = -1; run < runs; ++run) {
    for (auto& side : sides) {
      Samples warm_up;
      auto& samples = run < 0 ? warm_up : side.samples;
      auto pod = side.runtime->start(fmt::format("one-{}", run + 1), image, &samples);
      for (int i = 0; i < 3; ++i) {
        side.runtime->exec(pod, samples);
      }
      side.runtime->remove(pod, &samples);
    }
  }
  for (int round = 0; round < many_runs; ++round) {
    for (auto& side : sides) {
      many_at_once(side, round, many, image);
    }
  }

  keelson::bench::print_table("keelson", sides[0].samples, "containerd", sides[1].samples,
                              {{"RunPodSandbox"},
                               {"CreateContainer"},
                               {"StartContainer"},
                               {"pod start (all three)", 1.0 / 8},
                               {fmt::format("{} pods at once", many), 1.0 / 8},
                               {"ExecSync true", 1.0 / 8},
                               {"StopContainer"},
                               {"StopPodSandbox + Remove"},
                               {"stop + remove (all)", 1.0 / 4},
                               {"keeper private memory, KiB"},
                               {"daemon RSS with 20 pods, MiB", 1.0 / 2}});
  return 0;
}
