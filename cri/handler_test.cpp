// SPDX-License-Identifier: Apache-2.0
// Pods of the handler "runc": their containers are made by runc, and a client of CRI sees no difference.
#include "cri/handler_fixture.h"
#include "cri/streaming/test_client.h"

namespace keelson::cri {
namespace {

using testing::HasSubstr;
using testing::Not;
using Code = grpc::StatusCode;

class HandlerTest : public HandlerFixture {};

TEST_F(HandlerTest, StatusNamesThemAndOthersAreRefused) {
  v1::StatusResponse status;
  ASSERT_TRUE(call(&v1::RuntimeService::Stub::Status, v1::StatusRequest(), status).ok());
  std::map<std::string, bool> recursive;
  for (const auto& handler : status.runtime_handlers()) {
    recursive[handler.name()] = handler.features().recursive_read_only_mounts();
  }
  EXPECT_EQ(recursive, (std::map<std::string, bool>{{"", true}, {"keelson", true}, {"runc", true}, {"gone", false}}));

  std::string id;
  auto refused = run_sandbox_of("kata", sandbox_config("refused"), &id);
  EXPECT_EQ(refused.error_code(), Code::INVALID_ARGUMENT);
  EXPECT_THAT(refused.error_message(), HasSubstr("no runtime for \"kata\" is configured"));
  refused = run_sandbox_of("gone", sandbox_config("refused"), &id);
  EXPECT_FALSE(refused.ok());
  EXPECT_THAT(refused.error_message(), HasSubstr("/no/such/runtime: No such file"));
  ASSERT_TRUE(run_sandbox_of("keelson", sandbox_config("ours"), &id).ok());
  EXPECT_EQ(remove_sandbox(id).error_message(), "");
}

TEST_F(HandlerTest, WholeLife) {
  const auto sandbox = run_runc_sandbox("life");
  auto config = container_config("main", {"sh", "-c", "echo started; echo wrong >&2; exec sleep 1000"});
  config.mutable_linux()->mutable_resources()->set_cpu_shares(256);
  config.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(64 << 20);
  std::string id;
  const auto made = create(sandbox, config, &id);
  ASSERT_TRUE(made.ok()) << made.error_message();
  EXPECT_EQ(status_of(id).status().state(), v1::CONTAINER_CREATED);
  EXPECT_THAT(read(state_dir() + "/" + id + "/state.json"), HasSubstr(id)) << "who made it then?";
  EXPECT_EQ(count_mounts(), mounts_ + 1) << "the node sees no mount but the shared memory";
  const auto started = start_container(id);
  ASSERT_TRUE(started.ok()) << started.error_message();
  auto status = status_of(id);
  EXPECT_EQ(status.status().state(), v1::CONTAINER_RUNNING);
  EXPECT_GT(status.status().started_at(), status.status().created_at());
  const auto cgroup = options_.default_cgroup_parent + "/" + id;
  EXPECT_EQ(cgroup_value(cgroup, "cpu.shares", "cpu.weight"), unified() ? "10\n" : "256\n");
  EXPECT_EQ(cgroup_value(cgroup, "memory.limit_in_bytes", "memory.max"), "67108864\n");
  EXPECT_NE(read(cgroup_dir("memory", cgroup) + "/cgroup.procs"), "");

  v1::ContainerStatsRequest stats;
  stats.set_container_id(id);
  v1::ContainerStatsResponse usage;
  ASSERT_TRUE(call(&v1::RuntimeService::Stub::ContainerStats, stats, usage).ok());
  EXPECT_GT(usage.stats().memory().working_set_bytes().value(), 0U);

  wait_until("it has said what it says", [&] { return log_of("life", "main").find("wrong") != std::string::npos; });
  const auto began = std::chrono::steady_clock::now();
  ASSERT_TRUE(stop_container(id, 1).ok());  // PID 1 of its namespace without a handler: SIGTERM does nothing
  EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(900));
  status = status_of(id);
  EXPECT_EQ(status.status().state(), v1::CONTAINER_EXITED);
  EXPECT_EQ(status.status().exit_code(), 137);
  EXPECT_THAT(log_of("life", "main"), HasSubstr("stdout F started"));
  EXPECT_THAT(log_of("life", "main"), HasSubstr("stderr F wrong"));
  EXPECT_TRUE(remove_container(id).ok());
  EXPECT_FALSE(fs::exists(state_dir() + "/" + id));
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(HandlerTest, AnImageIsAVolume) {
  add_pages_image();
  const auto sandbox = run_runc_sandbox("volumes");
  auto config = container_config(
      "main", {"sh", "-c", "cat /pages/page; echo x > /pages/page || echo refused; cat /proc/self/mounts"});
  mount_pages(config, "sub");
  EXPECT_EQ(wait_exit(run_container(sandbox, config)).exit_code(), 0);
  EXPECT_THAT(log_of("volumes", "main"), HasSubstr("stdout F below"));
  EXPECT_THAT(log_of("volumes", "main"), HasSubstr("stdout F refused"));
  EXPECT_THAT(log_of("volumes", "main"), HasSubstr(" /pages overlay ro,nosuid,nodev,noexec,"));
  EXPECT_EQ(count_mounts(), mounts_ + 1) << "the node sees no mount but the shared memory";
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(HandlerTest, ExitCodesAndTheStopSignalArrive) {
  const auto sandbox = run_runc_sandbox("codes");
  // Ends at once, most likely while `runc start` is not back yet.
  EXPECT_EQ(wait_exit(run_container(sandbox, container_config("zero", {"true"}))).reason(), "Completed");
  const auto seven = wait_exit(run_container(sandbox, container_config("seven", {"sh", "-c", "exit 7"})));
  EXPECT_EQ(seven.exit_code(), 7);
  EXPECT_EQ(seven.reason(), "Error");
  const auto id = run_container(
      sandbox,
      container_config("trap", {"sh", "-c", "trap 'exit 3' TERM; echo ready; while true; do sleep 0.05; done"}));
  while (log_of("codes", "trap").find("ready") == std::string::npos) {
    std::this_thread::yield();
  }
  ASSERT_TRUE(stop_container(id, 20).ok());
  EXPECT_EQ(status_of(id).status().exit_code(), 3);
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(HandlerTest, TheContainerIsAsOursWouldBe) {
  std::ofstream(dir_ + "/layer/etc/passwd") << "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/home/web:/bin/sh\n";
  std::ofstream(dir_ + "/layer/etc/group") << "root:x:0:\nweb:x:34:\nlogs:x:50:web\n";
  auto pod = sandbox_config("alike");
  pod.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_network(v1::POD);
  const auto sandbox = run_runc_sandbox(pod);
  auto config =
      container_config("main", {"sh", "-c",
                                "id; echo $HOME $HOSTNAME; cat /etc/hostname /proc/self/status; ls /sys/class/net; "
                                "echo x > /ro 2>/dev/null || echo read-only; cat /proc/timer_list | wc -c; "
                                "echo 1 > /proc/sys/kernel/panic; echo $$; cat /data/file; echo y > /data/file; "
                                "ls /proc/self/fd"});
  auto* security = config.mutable_linux()->mutable_security_context();
  security->set_run_as_username("web");
  security->add_supplemental_groups(70);
  security->set_readonly_rootfs(true);
  security->set_no_new_privs(true);
  security->add_masked_paths("/proc/timer_list");
  security->add_readonly_paths("/proc/sys");
  security->mutable_capabilities()->add_drop_capabilities("ALL");
  auto* volume = config.add_mounts();
  volume->set_host_path(dir_ + "/volume");
  volume->set_container_path("/data");
  volume->set_readonly(true);
  fs::create_directories(dir_ + "/volume");
  std::ofstream(dir_ + "/volume/file") << "volume\n";
  fs::create_symlink("busybox", dir_ + "/layer/bin/wc");
  wait_exit(run_container(sandbox, config));
  const auto log = log_of("alike", "main");
  EXPECT_THAT(log, HasSubstr("uid=33(web) gid=34(web) groups=50(logs),70"));
  EXPECT_THAT(log, HasSubstr("F /home/web alike\n"));
  EXPECT_THAT(log, HasSubstr("Seccomp:\t2"));
  EXPECT_THAT(log, HasSubstr("CapBnd:\t0000000000000000"));
  EXPECT_THAT(log, HasSubstr("NoNewPrivs:\t1"));
  EXPECT_THAT(log, HasSubstr("F eth0\n"));
  EXPECT_THAT(log, HasSubstr("F read-only\n"));
  EXPECT_THAT(log, HasSubstr("F 0\n")) << "what is masked is empty";
  EXPECT_THAT(log, HasSubstr("F 1\n")) << "it is the first process";
  EXPECT_THAT(log, HasSubstr("F volume\n"));
  EXPECT_EQ(read(dir_ + "/volume/file"), "volume\n");
  EXPECT_THAT(log, Not(HasSubstr("F 4\n"))) << "a descriptor of the shim";
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(HandlerTest, NewLimitsAreToldToTheRuntime) {
  use_script("[ \"$verb\" != features ] && [ \"$3\" = update ] && tee " + dir_ + "/told | " + kRunc +
             " \"$@\" && exit 0\nexec " + kRunc + " \"$@\"");
  std::string sandbox;
  ASSERT_TRUE(run_sandbox_of("script", sandbox_config("grow"), &sandbox).ok());
  const auto id = run_container(sandbox, container_config("main", {"sleep", "1000"}));
  v1::UpdateContainerResourcesRequest request;
  request.set_container_id(id);
  request.mutable_linux()->set_cpu_shares(512);
  request.mutable_linux()->set_memory_limit_in_bytes(96 << 20);
  v1::UpdateContainerResourcesResponse response;
  const auto status = call(&v1::RuntimeService::Stub::UpdateContainerResources, request, response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(read(dir_ + "/told"), R"({"cpu":{"shares":512},"memory":{"limit":100663296}})");
  const auto cgroup = options_.default_cgroup_parent + "/" + id;
  EXPECT_EQ(cgroup_value(cgroup, "memory.limit_in_bytes", "memory.max"), "100663296\n");
  EXPECT_EQ(cgroup_value(cgroup, "cpu.shares", "cpu.weight"), unified() ? "20\n" : "512\n");
  v1::ExecSyncResponse output;
  ASSERT_TRUE(exec(id, {"sh", "-c", "echo x > /dev/null && echo still"}, 60, &output).ok());
  EXPECT_EQ(output.stdout(), "still\n");
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(HandlerTest, ExecSync) {
  const auto sandbox = run_runc_sandbox("exec");
  const auto id = run_container(sandbox, container_config("main", {"sleep", "1000"}));
  EXPECT_EQ(status_of(id).status().user().linux().uid(), 0);
  v1::ExecSyncResponse output;
  auto status = exec(id, {"sh", "-c", "cat /etc/hostname; echo err >&2; exit 7"}, 60, &output);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(output.stdout(), "exec\n");
  EXPECT_EQ(output.stderr(), "err\n");
  EXPECT_EQ(output.exit_code(), 7);
  ASSERT_TRUE(exec(id, {"cat", "/proc/self/status"}, 60, &output).ok());
  EXPECT_THAT(output.stdout(), HasSubstr("Seccomp:\t2"));
  EXPECT_THAT(output.stdout(), HasSubstr("CapEff:\t00000000a80425fb"));
  ASSERT_TRUE(exec(id, {"ls", "/proc/self/fd"}, 60, &output).ok());
  EXPECT_EQ(output.stdout(), "0\n1\n2\n3\n");  // 3 is the listing itself

  status = exec(id, {"sleep", "1000"}, 1, &output);
  EXPECT_EQ(status.error_code(), Code::DEADLINE_EXCEEDED) << status.error_message();
  status = exec(id, {"/no/such/program"}, 60, &output);
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(status.error_message(), HasSubstr("runc exec: "));
  EXPECT_THAT(status.error_message(), HasSubstr("/no/such/program"));
  // Many at once, each with its own exit.
  std::vector<std::jthread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&, i] {
      v1::ExecSyncResponse one;
      EXPECT_TRUE(exec(id, {"sh", "-c", "exit " + std::to_string(i)}, 60, &one).ok());
      EXPECT_EQ(one.exit_code(), i);
    });
  }
  callers.clear();
  EXPECT_EQ(entries(options_.state_dir + "/containers/" + id + "/bundle"), 3) << "what an exec needed is left";
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(HandlerTest, ExecAndAttachByUrl) {
  const auto sandbox = run_runc_sandbox("stream");
  auto config = container_config("main", {"sh", "-c", "read line; echo got $line; exit 6"});
  config.set_stdin(true);
  const auto id = run_container(sandbox, config);

  v1::ExecRequest request;
  request.set_container_id(id);
  for (const auto* word : {"sh", "-c", "cat; exit 4"}) {
    request.add_cmd(word);
  }
  request.set_stdin(true);
  request.set_stdout(true);
  v1::ExecResponse response;
  ASSERT_TRUE(call(&v1::RuntimeService::Stub::Exec, request, response).ok());
  StreamClient plain(response.url(), "v5.channel.k8s.io");
  ASSERT_FALSE(plain.error()) << plain.error().message();
  plain.send(Channel::in, "hello");
  plain.send(Channel::close, std::string(1, '\0'));
  auto all = plain.read_to_end();
  EXPECT_EQ(all[Channel::out], "hello");
  EXPECT_THAT(all[Channel::error], HasSubstr(R"("message":"4")"));

  fs::create_symlink("busybox", dir_ + "/layer/bin/stty");
  request.set_tty(true);
  request.mutable_cmd()->at(2) = "test -t 0 && read go && stty size && exit 5";
  ASSERT_TRUE(call(&v1::RuntimeService::Stub::Exec, request, response).ok());
  StreamClient terminal(response.url(), "v4.channel.k8s.io");
  terminal.send(Channel::resize, R"({"Width":100,"Height":30})");
  terminal.send(Channel::in, "go\n");
  all = terminal.read_to_end();
  EXPECT_THAT(all[Channel::out], HasSubstr("30 100\r\n"));
  EXPECT_THAT(all[Channel::error], HasSubstr(R"("message":"5")"));

  v1::AttachRequest attach;
  attach.set_container_id(id);
  attach.set_stdin(true);
  attach.set_stdout(true);
  v1::AttachResponse attached;
  ASSERT_TRUE(call(&v1::RuntimeService::Stub::Attach, attach, attached).ok());
  StreamClient client(attached.url(), "v5.channel.k8s.io");
  client.send(Channel::in, "this\n");
  all = client.read_to_end();
  EXPECT_EQ(all[Channel::out], "got this\n");
  EXPECT_EQ(wait_exit(id).exit_code(), 6);
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(HandlerTest, AContainersTerminalIsAttachedTo) {
  const auto sandbox = run_runc_sandbox("terminal");
  auto config = container_config("main", {"sh", "-c", "test -t 1 && echo terminal; read line; echo got $line; exit 2"});
  config.set_stdin(true);
  config.set_tty(true);
  const auto id = run_container(sandbox, config);
  v1::AttachRequest attach;
  attach.set_container_id(id);
  attach.set_stdin(true);
  attach.set_stdout(true);
  attach.set_tty(true);
  v1::AttachResponse attached;
  ASSERT_TRUE(call(&v1::RuntimeService::Stub::Attach, attach, attached).ok());
  StreamClient client(attached.url(), "v5.channel.k8s.io");
  client.send(Channel::in, "this\n");
  EXPECT_THAT(client.read_to_end()[Channel::out], HasSubstr("got this\r\n"));
  EXPECT_EQ(wait_exit(id).exit_code(), 2);
  EXPECT_THAT(log_of("terminal", "main"), HasSubstr("stdout F terminal"));
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(HandlerTest, PodsShareTheirPidNamespace) {
  auto pod = sandbox_config("shared");
  pod.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(v1::POD);
  const auto sandbox = run_runc_sandbox(pod);
  auto config = container_config("one", {"sleep", "1234"});
  config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(v1::POD);
  const auto one = run_container(sandbox, config);
  config.mutable_metadata()->set_name("two");
  config.set_log_path("two.log");
  config.mutable_command()->at(1) = "4321";
  const auto two = run_container(sandbox, config);
  v1::ExecSyncResponse output;
  ASSERT_TRUE(exec(two, {"sh", "-c", "cat /proc/*/cmdline"}, 60, &output).ok());
  EXPECT_THAT(output.stdout(), HasSubstr("1234"));
  EXPECT_THAT(output.stdout(), HasSubstr("4321"));
  EXPECT_TRUE(stop_container(one, 0).ok());
  EXPECT_EQ(status_of(one).status().exit_code(), 137);
  EXPECT_EQ(status_of(two).status().state(), v1::CONTAINER_RUNNING);
  EXPECT_EQ(entries(state_dir()), 2);
  EXPECT_TRUE(stop_sandbox(sandbox).ok());
  EXPECT_EQ(entries(state_dir()), 0) << "the shim has gone without them";
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(HandlerTest, WhereNothingIsSharedEachHasItsOwnPidNamespace) {
  for (const auto* handler : {"", "runc"}) {
    const auto name = std::string("alone") + handler;
    auto pod = sandbox_config(name);
    pod.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(v1::CONTAINER);
    std::string sandbox;
    ASSERT_TRUE(run_sandbox_of(handler, pod, &sandbox).ok());
    auto config = container_config("main", {"sh", "-c", "echo I am $$"});
    config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(v1::POD);
    wait_exit(run_container(sandbox, config));
    EXPECT_THAT(log_of(name, "main"), HasSubstr("I am 1\n"));
    EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
  }
}

TEST_F(HandlerTest, MountsPropagateAsAsked) {
  const auto volume = dir_ + "/volume";
  fs::create_directories(volume);
  ASSERT_EQ(::mount("tmpfs", volume.c_str(), "tmpfs", 0, nullptr), 0);
  ASSERT_EQ(::mount(nullptr, volume.c_str(), nullptr, MS_SHARED, nullptr), 0);
  fs::create_directories(volume + "/from-node");
  fs::create_directories(volume + "/from-pod");
  auto pod = sandbox_config("spread");
  pod.mutable_linux()->mutable_security_context()->set_privileged(true);
  const auto sandbox = run_runc_sandbox(pod);
  auto config = container_config("main", {"sleep", "1000"});
  config.mutable_linux()->mutable_security_context()->set_privileged(true);
  for (const auto& [path, propagation] :
       {std::pair{"/both", v1::PROPAGATION_BIDIRECTIONAL}, std::pair{"/from", v1::PROPAGATION_HOST_TO_CONTAINER},
        std::pair{"/none", v1::PROPAGATION_PRIVATE}}) {
    auto* mount = config.add_mounts();
    mount->set_host_path(volume);
    mount->set_container_path(path);
    mount->set_propagation(propagation);
  }
  fs::create_symlink("busybox", dir_ + "/layer/bin/mount");
  const auto id = run_container(sandbox, config);
  ASSERT_EQ(::mount("tmpfs", (volume + "/from-node").c_str(), "tmpfs", 0, nullptr), 0);
  std::ofstream(volume + "/from-node/seen") << "";
  v1::ExecSyncResponse output;
  const auto status = exec(id,
                           {"sh", "-c",
                            "ls /both/from-node /from/from-node /none/from-node; mount -t tmpfs x /both/from-pod && "
                            "touch /both/from-pod/made && mount -t tmpfs x /from/from-pod && touch /from/from-pod/own"},
                           20, &output);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(output.stdout(), "/both/from-node:\nseen\n\n/from/from-node:\nseen\n\n/none/from-node:\n")
      << output.stderr();
  EXPECT_TRUE(fs::exists(volume + "/from-pod/made"));
  EXPECT_FALSE(fs::exists(volume + "/from-pod/own"));
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

}  // namespace
}  // namespace keelson::cri
