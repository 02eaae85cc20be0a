// SPDX-License-Identifier: Apache-2.0
// The runtime through its socket, on this kernel: whole lives, restarts, losses, and what must not be left.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>

#include <functional>
#include <map>
#include <regex>
#include <set>
#include <thread>

#include "cri/runtime_fixture.h"
#include "cri/streaming/test_client.h"

namespace keelson::cri {
namespace {

using testing::HasSubstr;
using Code = grpc::StatusCode;

std::string read(const std::string& path) {
  return read_file(path).value_or("<" + path + " is not there>");
}

int pid_of(const v1::ContainerStatusResponse& response) {
  std::smatch match;
  const auto info = response.info().at("info");
  return std::regex_search(info, match, std::regex("\"pid\":(\\d+)")) ? std::stoi(match[1]) : 0;
}

TEST_F(RuntimeFixture, WholeLife) {
  const auto sandbox = run_sandbox(sandbox_config("life"));
  EXPECT_EQ(sandbox_state(sandbox), v1::SANDBOX_READY);
  auto config = container_config("main", {"sh", "-c", "echo started; exec sleep 1000"});
  config.mutable_linux()->mutable_resources()->set_cpu_shares(256);
  config.mutable_linux()->mutable_resources()->set_cpu_period(100000);
  config.mutable_linux()->mutable_resources()->set_cpu_quota(50000);
  config.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(64 << 20);
  const auto id = run_container(sandbox, config);
  auto status = status_of(id);
  EXPECT_EQ(status.status().state(), v1::CONTAINER_RUNNING);
  EXPECT_GT(status.status().started_at(), status.status().created_at());
  EXPECT_EQ(status.status().image_id(), "sha256:busybox");
  const auto cgroup = options_.default_cgroup_parent + "/" + id;
  EXPECT_EQ(cgroup_value(cgroup, "cpu.shares", "cpu.weight"), unified() ? "35\n" : "256\n");
  EXPECT_EQ(cgroup_value(cgroup, "cpu.cfs_quota_us", "cpu.max"), unified() ? "50000 100000\n" : "50000\n");
  EXPECT_EQ(cgroup_value(cgroup, "memory.limit_in_bytes", "memory.max"), "67108864\n");
  EXPECT_EQ(read(cgroup_dir("memory", cgroup) + "/cgroup.procs"), std::to_string(pid_of(status)) + "\n");

  v1::ExecSyncResponse output;
  ASSERT_TRUE(exec(id, {"sh", "-c", "cat /etc/hostname; echo err >&2; exit 7"}, 60, &output).ok());
  EXPECT_EQ(output.stdout(), "life\n");
  EXPECT_EQ(output.stderr(), "err\n");
  EXPECT_EQ(output.exit_code(), 7);

  ASSERT_TRUE(exec(id, {"cat", "/proc/self/status"}, 60, &output).ok());
  EXPECT_THAT(output.stdout(), HasSubstr("Seccomp:\t2"));
  EXPECT_THAT(output.stdout(), HasSubstr("CapEff:\t00000000a80425fb"));
  ASSERT_TRUE(exec(id, {"ls", "/proc/self/fd", "/proc/1/fd"}, 60, &output).ok());
  EXPECT_EQ(output.stdout(), "/proc/1/fd:\n0\n1\n2\n\n/proc/self/fd:\n0\n1\n2\n3\n");  // 3 is the listing itself
  ASSERT_TRUE(exec(id, {"sh", "-c", "cat < /dev/null && echo x > /dev/shm/x && echo $HOSTNAME"}, 60, &output).ok());
  EXPECT_EQ(output.stdout(), "life\n");

  const auto began = std::chrono::steady_clock::now();
  ASSERT_TRUE(stop_container(id, 1).ok());  // PID 1 of its namespace without a handler: SIGTERM does nothing
  EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(900));
  status = status_of(id);
  EXPECT_EQ(status.status().state(), v1::CONTAINER_EXITED);
  EXPECT_EQ(status.status().exit_code(), 137);
  EXPECT_EQ(status.status().reason(), "Error");
  EXPECT_THAT(read(dir_ + "/logs/life/main.log"), HasSubstr("stdout F started"));
  EXPECT_TRUE(remove_container(id).ok());
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(RuntimeFixture, AnImageIsAVolumeAsLongAsItsContainer) {
  add_pages_image();
  const auto sandbox = run_sandbox(sandbox_config("volumes"));
  auto config = container_config("main", {"sleep", "1000"});
  mount_pages(config);
  const auto id = run_container(sandbox, config);
  v1::ExecSyncResponse output;
  ASSERT_TRUE(exec(id, {"sh", "-c", "cat /pages/index /pages/sub/page; echo x > /pages/index"}, 60, &output).ok());
  EXPECT_EQ(output.stdout(), "new\nbelow\n");
  EXPECT_THAT(output.stderr(), HasSubstr("Read-only file system"));
  ASSERT_TRUE(exec(id, {"cat", "/proc/self/mounts"}, 60, &output).ok());
  EXPECT_TRUE(std::regex_search(output.stdout(), std::regex(" /pages overlay ro,nosuid,nodev,noexec,")))
      << output.stdout();
  const auto told = status_of(id).status().mounts(0);
  EXPECT_EQ(told.image().image(), "sha256:pages") << "by which a kubelet knows it to be in use";
  EXPECT_EQ(told.image().user_specified_image(), "example.com/pages:1");
  EXPECT_EQ(count_mounts(), mounts_ + 1) << "the node sees the shared memory alone";

  auto part = container_config("part", {"cat", "/pages/page"});
  mount_pages(part, "sub");
  EXPECT_EQ(wait_exit(run_container(sandbox, part)).exit_code(), 0);
  EXPECT_THAT(read(dir_ + "/logs/volumes/part.log"), HasSubstr("stdout F below"));

  server_.reset();
  images_ = std::make_unique<FolderImage>(dir_ + "/layer");
  add_pages_image();
  restart();
  EXPECT_EQ(images_->held(), (std::multiset<std::string>{"sha256:pages", "sha256:pages"})) << "after a restart, too";
  EXPECT_TRUE(remove_container(id).ok());
  EXPECT_EQ(images_->held(), std::multiset<std::string>{"sha256:pages"});
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
  EXPECT_TRUE(images_->held().empty());
}

TEST_F(RuntimeFixture, AnImageThatCannotBeAVolumeIsToldOfInClientsWords) {
  add_pages_image();
  const auto sandbox = run_sandbox(sandbox_config("wrong"));
  const auto refused = [&](const std::function<void(v1::Mount&)>& change) {
    auto config = container_config("main", {"sleep", "1000"});
    change(*mount_pages(config));
    std::string id;
    const auto status = create(sandbox, config, &id);
    return std::pair(status.error_code(), status.error_message());
  };
  EXPECT_EQ(
      refused([](auto& mount) { mount.mutable_image()->set_image("absent"); }),
      std::pair(Code::NOT_FOUND, std::string("ImageVolumeMountFailed: failed to resolve image \"absent\": not found")));
  EXPECT_EQ(refused([](auto& mount) { mount.set_image_sub_path("absent"); }).second,
            "ImageVolumeMountFailed: sub path \"absent\" does not exist in the image");
  EXPECT_THAT(refused([](auto& mount) { mount.set_host_path("/tmp"); }).second,
              HasSubstr("ImageVolumeMountFailed: hostpath must be empty while mount image"));
  EXPECT_THAT(refused([](auto& mount) { mount.set_readonly(false); }).second,
              HasSubstr("ImageVolumeMountFailed: readonly must be true while mount image"));
  EXPECT_TRUE(images_->held().empty());
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(RuntimeFixture, StopWaitsForTheExitAndNoLonger) {
  const auto sandbox = run_sandbox(sandbox_config("stop"));
  const auto id = run_container(
      sandbox,
      container_config("main", {"sh", "-c", "trap 'exit 3' TERM; echo ready; while true; do sleep 0.05; done"}));
  wait_until("it is ready", [&] { return log_of("stop", "main").find("ready") != std::string::npos; });
  const auto began = std::chrono::steady_clock::now();
  ASSERT_TRUE(stop_container(id, 60).ok());
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(40));
  EXPECT_EQ(status_of(id).status().exit_code(), 3);
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(RuntimeFixture, CallsCanBeRepeatedAndMistakesHaveCodes) {
  EXPECT_TRUE(stop_sandbox("nobody").ok());
  EXPECT_TRUE(remove_sandbox("nobody").ok());
  EXPECT_TRUE(stop_container("nobody", 1).ok());
  EXPECT_TRUE(remove_container("nobody").ok());
  EXPECT_EQ(start_container("nobody").error_code(), Code::NOT_FOUND);
  // What no header can carry in full is shortened, not turned into another error.
  EXPECT_EQ(start_container(std::string(20'000, 'a')).error_code(), Code::NOT_FOUND);

  const auto sandbox = run_sandbox(sandbox_config("twice"));
  v1::RunPodSandboxRequest again;
  *again.mutable_config() = sandbox_config("twice");
  v1::RunPodSandboxResponse response;
  EXPECT_EQ(call(&v1::RuntimeService::Stub::RunPodSandbox, again, response).error_code(), Code::ALREADY_EXISTS);
  again.mutable_config()->mutable_metadata()->set_attempt(1);
  again.set_runtime_handler("kata");
  EXPECT_EQ(call(&v1::RuntimeService::Stub::RunPodSandbox, again, response).error_code(), Code::INVALID_ARGUMENT);

  for (const auto mode : {v1::POD, v1::CONTAINER, v1::TARGET}) {
    auto mapped = sandbox_config("mapped");
    auto* users =
        mapped.mutable_linux()->mutable_security_context()->mutable_namespace_options()->mutable_userns_options();
    users->set_mode(mode);
    users->add_gids()->set_length(65536);
    *again.mutable_config() = mapped;
    again.set_runtime_handler("");
    EXPECT_EQ(call(&v1::RuntimeService::Stub::RunPodSandbox, again, response).error_code(), Code::INVALID_ARGUMENT)
        << mode;
  }

  // The node's own parameters are not a sandbox' to set; what would be set is what it is, should it be set after all.
  auto kernel = sandbox_config("kernel");
  (*kernel.mutable_linux()->mutable_sysctls())["kernel.core_uses_pid"] = read("/proc/sys/kernel/core_uses_pid");
  *again.mutable_config() = kernel;
  EXPECT_EQ(call(&v1::RuntimeService::Stub::RunPodSandbox, again, response).error_code(), Code::INVALID_ARGUMENT);

  std::string id;
  auto config = container_config("main", {"sleep", "1000"});
  config.mutable_image()->set_image("missing");
  EXPECT_EQ(create(sandbox, config, &id).error_code(), Code::NOT_FOUND);
  config = container_config("main", {"/no/such/program"});
  ASSERT_TRUE(create(sandbox, config, &id).ok());
  const auto failed = start_container(id);
  EXPECT_FALSE(failed.ok());
  EXPECT_THAT(failed.error_message(), HasSubstr("/no/such/program"));
  EXPECT_EQ(status_of(id).status().reason(), "StartError");
  EXPECT_EQ(status_of(id).status().exit_code(), 128);
  EXPECT_EQ(start_container(id).error_code(), Code::FAILED_PRECONDITION);
  EXPECT_TRUE(stop_sandbox(sandbox).ok());
  EXPECT_TRUE(stop_sandbox(sandbox).ok());
  EXPECT_EQ(sandbox_state(sandbox), v1::SANDBOX_NOTREADY);
  EXPECT_EQ(create(sandbox, container_config("late", {}), &id).error_code(), Code::FAILED_PRECONDITION);
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(RuntimeFixture, ExecObeysItsTime) {
  const auto sandbox = run_sandbox(sandbox_config("exec"));
  const auto id = run_container(sandbox, container_config("main", {"sleep", "1000"}));
  v1::ExecSyncResponse output;
  EXPECT_EQ(exec(id, {"sleep", "100"}, 1, &output).error_code(), Code::DEADLINE_EXCEEDED);
  ASSERT_TRUE(exec(id, {"sh", "-c", "yes | dd bs=1024 count=20000 2>/dev/null"}, 30, &output).ok());
  EXPECT_LT(output.stdout().size(), 16u << 20);
  EXPECT_GT(output.stdout().size(), 15u << 20);
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(RuntimeFixture, OutOfMemoryHasItsName) {
  const auto sandbox = run_sandbox(sandbox_config("oom"));
  auto config = container_config("main", {"sh", "-c", "tail /dev/zero"});
  config.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(16 << 20);
  const auto id = run_container(sandbox, config);
  const auto status = wait_exit(id);
  EXPECT_EQ(status.reason(), "OOMKilled");
  EXPECT_EQ(status.exit_code(), 137);
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(RuntimeFixture, RestartKeepsEverything) {
  const auto sandbox = run_sandbox(sandbox_config("restart"));
  const auto living = run_container(sandbox, container_config("living", {"sleep", "1000"}));
  const auto ending = run_container(
      sandbox, container_config("ending", {"sh", "-c", "while [ ! -e /end ]; do sleep 0.02; done; exit 5"}));
  const auto pid = pid_of(status_of(living));
  const auto ending_pid = pid_of(status_of(ending));
  std::string created;
  ASSERT_TRUE(create(sandbox, container_config("created", {"sleep", "1000"}), &created).ok());

  stub_.reset();
  server_.reset();
  std::ofstream(fmt::format("/proc/{}/root/end", ending_pid)) << "";
  while (::kill(ending_pid, 0) == 0) {  // reaped by its shim, not by us
    std::this_thread::yield();
  }
  start();

  EXPECT_EQ(sandbox_state(sandbox), v1::SANDBOX_READY);
  EXPECT_EQ(status_of(living).status().state(), v1::CONTAINER_RUNNING);
  EXPECT_EQ(pid_of(status_of(living)), pid);
  EXPECT_EQ(status_of(ending).status().state(), v1::CONTAINER_EXITED);
  EXPECT_EQ(status_of(ending).status().exit_code(), 5);
  EXPECT_TRUE(start_container(created).ok());
  v1::ExecSyncResponse output;
  EXPECT_TRUE(exec(living, {"true"}, 60, &output).ok());
  EXPECT_TRUE(stop_container(living, 0).ok());
  EXPECT_EQ(status_of(living).status().exit_code(), 137);
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(RuntimeFixture, LossOfTheShimIsTold) {
  const auto sandbox = run_sandbox(sandbox_config("loss"));
  const auto id = run_container(sandbox, container_config("main", {"sleep", "1000"}));
  ASSERT_EQ(::kill(shim_of(sandbox), SIGKILL), 0);
  const auto status = wait_exit(id);
  EXPECT_EQ(status.exit_code(), 137);
  EXPECT_THAT(status.message(), HasSubstr("shim"));
  EXPECT_EQ(sandbox_state(sandbox), v1::SANDBOX_NOTREADY);
  restart();
  EXPECT_EQ(sandbox_state(sandbox), v1::SANDBOX_NOTREADY);
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(RuntimeFixture, NothingOutlivesALostShimInTheNodesPidNamespace) {
  auto config = sandbox_config("stray");
  config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(v1::NODE);
  const auto sandbox = run_sandbox(config);
  const auto word = "31" + std::to_string(::getpid());
  auto main = container_config("main", {"sh", "-c", "sleep " + word + " & wait"});
  main.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(v1::NODE);
  const auto id = run_container(sandbox, main);
  auto strays = [&] {
    int found = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      found += read_file(entry.path().string() + "/cmdline").value_or("").find(word) != std::string::npos &&
               read_file(entry.path().string() + "/comm").value_or("") == "sleep\n";
    }
    return found;
  };
  ASSERT_NO_FATAL_FAILURE(wait_until("it runs", [&] { return strays() == 1; }));
  ASSERT_EQ(::kill(shim_of(sandbox), SIGKILL), 0);
  EXPECT_EQ(wait_exit(id).exit_code(), 137);
  wait_until("it has ended", [&] { return strays() == 0; });
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(RuntimeFixture, SharedMemoryIsThePodsAndLimited) {
  const auto sandbox = run_sandbox(sandbox_config("memory"));
  const auto one = run_container(sandbox, container_config("one", {"sleep", "1000"}));
  const auto other = run_container(sandbox, container_config("other", {"sleep", "1000"}));
  v1::ExecSyncResponse output;
  ASSERT_TRUE(
      exec(one, {"sh", "-c", "echo word > /dev/shm/file; dd if=/dev/zero of=/dev/shm/all bs=1M count=100"}, 60, &output)
          .ok());
  EXPECT_THAT(output.stderr(), HasSubstr("No space left on device"));
  ASSERT_TRUE(exec(other, {"sh", "-c", "cat /dev/shm/file; rm /dev/shm/all"}, 60, &output).ok());
  EXPECT_EQ(output.stdout(), "word\n");
  ::kill(shim_of(sandbox), SIGKILL);
  EXPECT_TRUE(stop_sandbox(sandbox).ok());
  EXPECT_TRUE(remove_sandbox(sandbox).ok());
  EXPECT_EQ(count_mounts(), mounts_) << "also after the shim's death";
}

TEST_F(RuntimeFixture, PodNetwork) {
  auto config = sandbox_config("net");
  config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_network(v1::POD);
  config.mutable_dns_config()->add_servers("10.0.0.10");
  const auto sandbox = run_sandbox(config);
  v1::PodSandboxStatusRequest request;
  request.set_pod_sandbox_id(sandbox);
  v1::PodSandboxStatusResponse response;
  ASSERT_TRUE(call(&v1::RuntimeService::Stub::PodSandboxStatus, request, response).ok());
  EXPECT_THAT(response.status().network().ip(), testing::StartsWith("10.77.0."));
  EXPECT_EQ(count_mounts(), mounts_ + 2);  // the namespace's pin, and the shared memory
  const auto id = run_container(sandbox, container_config("main", {"sleep", "1000"}));
  v1::ExecSyncResponse output;
  ASSERT_TRUE(exec(id, {"sh", "-c", "cat /proc/net/dev /etc/resolv.conf"}, 60, &output).ok());
  EXPECT_THAT(output.stdout(), HasSubstr("eth0"));
  EXPECT_THAT(output.stdout(), HasSubstr("nameserver 10.0.0.10"));
  EXPECT_TRUE(stop_sandbox(sandbox).ok());
  EXPECT_EQ(count_mounts(), mounts_);
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");

  std::ofstream(options_.cni_conf_dir + "/10-test.conflist")
      << R"({"cniVersion":"1.1.0","name":"n","plugins":[{"type":"absent"}]})";
  v1::RunPodSandboxRequest failing;
  config.mutable_metadata()->set_name("failing");
  *failing.mutable_config() = config;
  v1::RunPodSandboxResponse none;
  const auto status = call(&v1::RuntimeService::Stub::RunPodSandbox, failing, none);
  EXPECT_THAT(status.error_message(), HasSubstr("absent"));
  v1::ListPodSandboxResponse left;
  ASSERT_TRUE(call(&v1::RuntimeService::Stub::ListPodSandbox, v1::ListPodSandboxRequest(), left).ok());
  EXPECT_EQ(left.items_size(), 0);
}

TEST_F(RuntimeFixture, ExecAndAttachByUrl) {
  const auto sandbox = run_sandbox(sandbox_config("stream"));
  auto config = container_config("main", {"sh", "-c", "read line; echo got $line; exit 6"});
  config.set_stdin(true);
  const auto id = run_container(sandbox, config);

  v1::ExecRequest exec_request;
  exec_request.set_container_id(id);
  for (const auto* word : {"sh", "-c", "cat; exit 4"}) {
    exec_request.add_cmd(word);
  }
  exec_request.set_stdin(true);
  exec_request.set_stdout(true);
  v1::ExecResponse exec_response;
  ASSERT_TRUE(call(&v1::RuntimeService::Stub::Exec, exec_request, exec_response).ok());
  StreamClient exec_client(exec_response.url(), "v5.channel.k8s.io");
  ASSERT_FALSE(exec_client.error()) << exec_client.error().message();
  exec_client.send(Channel::in, "hello");
  exec_client.send(Channel::close, std::string(1, '\0'));
  auto all = exec_client.read_to_end();
  EXPECT_EQ(all[Channel::out], "hello");
  EXPECT_THAT(all[Channel::error], HasSubstr(R"("message":"4")"));

  exec_request.set_tty(true);
  exec_request.mutable_cmd()->at(2) = "test -t 0 && echo terminal";
  ASSERT_TRUE(call(&v1::RuntimeService::Stub::Exec, exec_request, exec_response).ok());
  StreamClient terminal(exec_response.url(), "v4.channel.k8s.io");
  terminal.send(Channel::resize, R"({"Width":100,"Height":30})");
  EXPECT_EQ(terminal.read_to_end()[Channel::out], "terminal\r\n");

  v1::AttachRequest attach_request;
  attach_request.set_container_id(id);
  attach_request.set_stdin(true);
  attach_request.set_stdout(true);
  v1::AttachResponse attach_response;
  ASSERT_TRUE(call(&v1::RuntimeService::Stub::Attach, attach_request, attach_response).ok());
  StreamClient attached(attach_response.url(), "v5.channel.k8s.io");
  attached.send(Channel::in, "this\n");
  all = attached.read_to_end();
  EXPECT_EQ(all[Channel::out], "got this\n");
  EXPECT_EQ(wait_exit(id).exit_code(), 6);
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(RuntimeFixture, MetricsAreThoseThatAreDescribed) {
  const auto sandbox = run_sandbox(sandbox_config("metrics"));
  const auto id = run_container(sandbox, container_config("main", {"sleep", "1000"}));
  v1::ListMetricDescriptorsResponse described;
  ASSERT_TRUE(
      call(&v1::RuntimeService::Stub::ListMetricDescriptors, v1::ListMetricDescriptorsRequest(), described).ok());
  std::map<std::string, int> label_counts;
  for (const auto& descriptor : described.descriptors()) {
    EXPECT_TRUE(label_counts.emplace(descriptor.name(), descriptor.label_keys_size()).second) << descriptor.name();
  }
  v1::ListPodSandboxMetricsResponse listed;
  ASSERT_TRUE(call(&v1::RuntimeService::Stub::ListPodSandboxMetrics, v1::ListPodSandboxMetricsRequest(), listed).ok());
  ASSERT_EQ(listed.pod_metrics_size(), 1);
  const auto& pod = listed.pod_metrics(0);
  EXPECT_EQ(pod.pod_sandbox_id(), sandbox);
  ASSERT_EQ(pod.container_metrics_size(), 1);
  EXPECT_EQ(pod.container_metrics(0).container_id(), id);
  std::set<std::string> seen;
  auto check = [&](const auto& metrics) {
    for (const auto& metric : metrics) {
      EXPECT_EQ(label_counts.at(metric.name()), metric.label_values_size()) << metric.name();
      EXPECT_TRUE(seen.insert(metric.name() + " " + metric.label_values(metric.label_values_size() - 1)).second);
      if (metric.name() == "container_memory_usage_bytes" || metric.name() == "container_processes") {
        EXPECT_GT(metric.value().value(), 0u) << metric.name();
      }
    }
  };
  check(pod.metrics());
  check(pod.container_metrics(0).metrics());
  EXPECT_TRUE(seen.contains("container_memory_usage_bytes main"));
  EXPECT_TRUE(seen.contains("container_processes POD"));
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(RuntimeFixture, CheckpointsAreRefusedInWords) {
  v1::CheckpointContainerRequest request;
  request.set_container_id("abc");
  v1::CheckpointContainerResponse response;
  const auto status = call(&v1::RuntimeService::Stub::CheckpointContainer, request, response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(status.error_message(),
            "checkpoint container abc: this runtime makes no checkpoints; the container runs on unchanged");
}

TEST_F(RuntimeFixture, StatsAndLists) {
  const auto sandbox = run_sandbox(sandbox_config("stats"));
  const auto id = run_container(sandbox, container_config("main", {"sleep", "1000"}));
  v1::ContainerStatsRequest request;
  request.set_container_id(id);
  v1::ContainerStatsResponse stats;
  ASSERT_TRUE(call(&v1::RuntimeService::Stub::ContainerStats, request, stats).ok());
  EXPECT_GT(stats.stats().cpu().usage_core_nano_seconds().value(), 0u);
  EXPECT_GT(stats.stats().memory().usage_bytes().value(), 0u);
  v1::ListContainersRequest list;
  list.mutable_filter()->mutable_state()->set_state(v1::CONTAINER_RUNNING);
  v1::ListContainersResponse containers;
  ASSERT_TRUE(call(&v1::RuntimeService::Stub::ListContainers, list, containers).ok());
  ASSERT_EQ(containers.containers_size(), 1);
  EXPECT_EQ(containers.containers(0).id(), id);
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

}  // namespace
}  // namespace keelson::cri
