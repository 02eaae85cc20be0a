// SPDX-License-Identifier: Apache-2.0
// Handlers whose runtime fails, hangs or disappears, and daemons and shims that are killed over theirs.
#include "cri/handler_fixture.h"
#include "cri/shim/client.h"

namespace keelson::cri {
namespace {

using testing::HasSubstr;
using Code = grpc::StatusCode;

class HandlerFaults : public HandlerFixture {};

TEST_F(HandlerFaults, WhatTheRuntimeSaysReachesTheCaller) {
  const auto sandbox = run_runc_sandbox("errors");
  std::string id;
  const auto refused = create(sandbox, container_config("main", {"/no/such/program"}), &id);
  EXPECT_FALSE(refused.ok());
  EXPECT_THAT(refused.error_message(), HasSubstr("runc create: "));
  EXPECT_THAT(refused.error_message(), HasSubstr("/no/such/program"));
  EXPECT_EQ(entries(state_dir()), 0);
  auto nobody = container_config("main", {"true"});
  nobody.mutable_linux()->mutable_security_context()->set_run_as_username("nobody-here");
  EXPECT_THAT(create(sandbox, nobody, &id).error_message(), HasSubstr("nobody-here"));
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(HandlerFaults, ARuntimeThatHangsIsKilled) {
  options_.shim_timeout = std::chrono::seconds(8);
  use_script("[ \"$verb\" = create ] || exit 0\nexec sleep 54321");
  std::string sandbox;
  ASSERT_TRUE(run_sandbox_of("script", sandbox_config("hangs"), &sandbox).ok());
  std::string id;
  const auto late = create(sandbox, container_config("main", {"true"}), &id);
  EXPECT_EQ(late.error_code(), Code::DEADLINE_EXCEEDED);
  EXPECT_THAT(late.error_message(), HasSubstr("script create did not end within 6000 ms"));
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(HandlerFaults, WhatAHangingRuntimeHoldsUpEndsWithItsShim) {
  use_script("[ \"$verb\" = create ] || exit 0\necho $$ > " + dir_ + "/hanging; exec sleep 54321");
  std::string sandbox;
  ASSERT_TRUE(run_sandbox_of("script", sandbox_config("hangs"), &sandbox).ok());
  std::jthread caller([&] {
    std::string id;
    EXPECT_FALSE(create(sandbox, container_config("main", {"true"}), &id).ok());
  });
  std::string pid;
  while ((pid = read_file(dir_ + "/hanging").value_or("")).empty()) {
    std::this_thread::yield();
  }
  ASSERT_EQ(::kill(shim_of(sandbox), SIGKILL), 0);
  caller.join();
  pid.pop_back();
  while (read_file("/proc/" + pid + "/cmdline").value_or("").find("54321") != std::string::npos) {
    std::this_thread::yield();
  }
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(HandlerFaults, ARuntimeMayUseOtherWords) {
  use_script(
      "case $verb in\n"
      "create) echo 'no JSON here' > $log; exit 3;;\n"
      "esac");
  std::string sandbox;
  ASSERT_TRUE(run_sandbox_of("script", sandbox_config("words"), &sandbox).ok());
  std::string id;
  EXPECT_THAT(create(sandbox, container_config("plain", {"true"}), &id).error_message(),
              testing::EndsWith("script create: no JSON here"));
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(HandlerFaults, AStartThatFailsIsAnExit) {
  use_script("[ \"$verb\" != start ] || { echo 'not today' >&2; exit 4; }\nexec " + std::string(kRunc) + " \"$@\"");
  std::string sandbox;
  ASSERT_TRUE(run_sandbox_of("script", sandbox_config("start"), &sandbox).ok());
  std::string id;
  ASSERT_TRUE(create(sandbox, container_config("main", {"true"}), &id).ok());
  EXPECT_THAT(start_container(id).error_message(), testing::EndsWith("script start: not today"));
  EXPECT_EQ(status_of(id).status().state(), v1::CONTAINER_EXITED);
  EXPECT_EQ(status_of(id).status().reason(), "StartError");
  EXPECT_EQ(status_of(id).status().exit_code(), 128);
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
  EXPECT_EQ(entries(options_.run_dir + "/oci/script"), 0);
}

TEST_F(HandlerFaults, AStartUnderWayIsNoNewsToANewDaemon) {
  use_script("[ \"$verb\" != start ] || { touch " + dir_ + "/starting; while [ ! -e " + dir_ +
             "/go ]; do sleep 0.02; done; }\nexec " + kRunc + " \"$@\"");
  std::string sandbox;
  ASSERT_TRUE(run_sandbox_of("script", sandbox_config("slow"), &sandbox).ok());
  std::string id;
  ASSERT_TRUE(create(sandbox, container_config("main", {"sleep", "1000"}), &id).ok());
  std::jthread caller([&] { EXPECT_TRUE(start_container(id).ok()); });
  while (!fs::exists(dir_ + "/starting")) {
    std::this_thread::yield();
  }
  // As a daemon asks that has just come, after one that was killed over the start.
  auto line = shim::ShimClient::connect(options_.run_dir + "/sandboxes/" + sandbox, std::chrono::seconds(60));
  ASSERT_TRUE(line) << line.error().message();
  const auto statuses = (*line)->state();
  ASSERT_TRUE(statuses);
  ASSERT_EQ(statuses->size(), 1U);
  EXPECT_EQ(statuses->front().state, shim::ProcessState::running);
  EXPECT_GT(statuses->front().started_at, 0);
  std::ofstream(dir_ + "/go") << "";
  caller.join();
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(HandlerFaults, AKillThatFailsIsDoneByTheShim) {
  use_script("[ \"$verb\" != kill ] || exit 5\nexec " + std::string(kRunc) + " \"$@\"");
  std::string sandbox;
  ASSERT_TRUE(run_sandbox_of("script", sandbox_config("kill"), &sandbox).ok());
  const auto id = run_container(sandbox, container_config("main", {"sleep", "1000"}));
  EXPECT_THAT(stop_container(id, 1).error_message(), HasSubstr("script kill: it ended with code 5"));  // SIGTERM
  EXPECT_EQ(status_of(id).status().state(), v1::CONTAINER_RUNNING);
  EXPECT_TRUE(stop_container(id, 0).ok());
  EXPECT_EQ(status_of(id).status().exit_code(), 137);
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(HandlerFaults, AHandlerThatIsNoLongerConfiguredLeavesNothing) {
  const auto sandbox = run_runc_sandbox("orphan");
  const auto kept = run_container(sandbox, container_config("kept", {"sleep", "1000"}));
  const auto lost = run_runc_sandbox("orphan-lost");
  const auto dead = run_container(lost, container_config("dead", {"sleep", "1000"}));
  const auto shim = shim_of(lost);
  options_.handlers.clear();
  stub_.reset();
  server_.reset();
  ASSERT_EQ(::kill(shim, SIGKILL), 0);
  start();
  EXPECT_EQ(status_of(kept).status().state(), v1::CONTAINER_RUNNING);
  EXPECT_EQ(wait_exit(dead).exit_code(), 137);
  std::string id;
  EXPECT_EQ(create(sandbox, container_config("more", {"true"}), &id).error_code(), Code::INVALID_ARGUMENT);
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
  EXPECT_EQ(remove_sandbox(lost).error_message(), "");
}

TEST_F(HandlerFaults, RestartKeepsEverything) {
  const auto sandbox = run_runc_sandbox("keep");
  const auto running = run_container(sandbox, container_config("running", {"sleep", "1000"}));
  const auto ending = run_container(
      sandbox, container_config("ending", {"sh", "-c", "while [ ! -e /end ]; do sleep 0.02; done; exit 9"}));
  const auto ending_pid = pid_of(ending);
  std::string created;
  ASSERT_TRUE(create(sandbox, container_config("created", {"sh", "-c", "exit 8"}), &created).ok());
  const auto before = pid_of(running);
  stub_.reset();
  server_.reset();
  std::ofstream(fmt::format("/proc/{}/root/end", ending_pid)) << "";
  while (::kill(ending_pid, 0) == 0) {  // reaped by its shim, not by us
    std::this_thread::yield();
  }
  start();
  EXPECT_EQ(pid_of(running), before);
  EXPECT_EQ(status_of(ending).status().exit_code(), 9);
  ASSERT_TRUE(start_container(created).ok());
  EXPECT_EQ(wait_exit(created).exit_code(), 8);
  v1::ExecSyncResponse output;
  ASSERT_TRUE(exec(running, {"echo", "here"}, 60, &output).ok());
  EXPECT_EQ(output.stdout(), "here\n");
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(HandlerFaults, LossOfTheShimLeavesNothing) {
  auto pod = sandbox_config("lost");
  pod.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_network(v1::POD);
  const auto sandbox = run_runc_sandbox(pod);
  const auto id = run_container(sandbox, container_config("main", {"sleep", "1000"}));
  const auto cgroup = options_.default_cgroup_parent + "/" + id;
  ASSERT_NE(read(cgroup_dir("memory", cgroup) + "/cgroup.procs"), "");
  ASSERT_EQ(::kill(shim_of(sandbox), SIGKILL), 0);
  const auto status = wait_exit(id);
  EXPECT_EQ(status.exit_code(), 137);
  EXPECT_EQ(sandbox_state(sandbox), v1::SANDBOX_NOTREADY);
  EXPECT_EQ(entries(state_dir()), 0);
  EXPECT_FALSE(fs::exists(cgroup_dir("memory", cgroup)) && read(cgroup_dir("memory", cgroup) + "/cgroup.procs") != "");
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

}  // namespace
}  // namespace keelson::cri
