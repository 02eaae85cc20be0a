// SPDX-License-Identifier: Apache-2.0
// kubectl's verbs on a pod of our node, as a new user would try them: through kube-apiserver to port 10250.
#include <fstream>

#include "tests/support/cluster_node_fixture.h"

namespace keelson::testing {
namespace {

class KubectlTest : public ClusterNodeTest {
 protected:
  void run_pod(const std::string& name, const std::string& script) {
    kubectl_ok({"run", name, "--image=keelson.example/busybox:1", "--restart=Never", "--", "sh", "-c", script});
    expect_soon(name + " runs", {"get", "pod", name, "-o", "jsonpath={.status.phase}"}, "Running");
  }
  void wait_for_line(const std::string& file, const std::string& line) {
    wait_until(fmt::format("{} says {}", file, line),
               [&] { return ("\n" + read_text(home() + "/" + file)).find("\n" + line) != std::string::npos; });
  }
};

TEST_F(KubectlTest, LogsExecCopyForwardAttachDebugDescribe) {
  ASSERT_NO_FATAL_FAILURE(run_pod("box", "i=0; while sleep 0.2; do i=$((i+1)); echo line $i; done"));

  {
    auto logs = kubectl_in_background({"logs", "-f", "box"}, "kubectl-logs");
    ASSERT_NO_FATAL_FAILURE(wait_for_line("kubectl-logs", "line 5\n"));
  }
  EXPECT_EQ(kubectl_ok({"logs", "box", "--limit-bytes=7"}), "line 1\n");
  EXPECT_EQ(kubectl_ok({"logs", "box", "--tail=1"}).substr(0, 5), "line ");
  EXPECT_NE(kubectl({"logs", "box", "--previous"}).error.find("previous terminated container"), std::string::npos);

  EXPECT_EQ(kubectl_ok({"exec", "-i", "box", "--", "cat"}, "through stdin"), "through stdin");
  EXPECT_EQ(kubectl({"exec", "box", "--", "sh", "-c", "exit 7"}).code, 7);
  // With a terminal of its own, as by hand: its size follows the caller's, and comes after the start.
  std::string command = "stty rows 33 cols 101;";
  for (const auto& word : control_plane_->kubectl_command({"exec", "-it", "box", "--", "sh", "-c"})) {
    command += word + " ";
  }
  command += "'tty; until stty size | grep -v \"^0 0\"; do sleep 0.1; done'";
  auto terminal = run({"timeout", "80", "script", "-qec", command, "/dev/null"}).out;
  if (terminal.starts_with("^@")) {  // script's own end of input, echoed until kubectl has the terminal
    terminal.erase(0, 2);
  }
  EXPECT_TRUE(terminal.starts_with("/dev/pts/0\r\n") && terminal.ends_with("33 101\r\n")) << terminal;

  std::ofstream(home() + "/there") << "a file\n";
  kubectl_ok({"cp", home() + "/there", "box:/tmp/there"});
  kubectl_ok({"cp", "box:/tmp/there", home() + "/back"});
  EXPECT_EQ(read_text(home() + "/back"), "a file\n");

  kubectl_ok({"run", "web", "--image=keelson.example/server:1", "--restart=Never", "--command", "--", "/server",
              "--fail-after", "0"});
  // With nobody to take the first connection, port-forward would end.
  expect_soon("web listens", {"logs", "web"}, "listening on port 8080\n");
  {
    auto forward = kubectl_in_background({"port-forward", "pod/web", "18080:8080"}, "kubectl-forward");
    ASSERT_NO_FATAL_FAILURE(wait_for_line("kubectl-forward", "Forwarding from 127.0.0.1:18080"));
    EXPECT_EQ(run({"curl", "-sS", "-m", "30", "http://127.0.0.1:18080/hostname"}).out, "web");
  }
  {
    auto attach = kubectl_in_background({"attach", "box"}, "kubectl-attach");
    ASSERT_NO_FATAL_FAILURE(wait_for_line("kubectl-attach", "line "));
  }

  kubectl_ok({"debug", "box", "--image=keelson.example/busybox:1", "--target=box", "--container=probe", "--", "sh",
              "-c", "echo from the side; sleep 1000"});
  wait_until("the ephemeral container's log is there",
             [&] { return kubectl({"logs", "box", "-c", "probe"}).out == "from the side\n"; });

  ASSERT_TRUE(control_plane_->has_event("box", "Started"));
  const auto described = kubectl_ok({"describe", "pod", "box"});
  for (const char* part :
       {"Node:             member-1/10.250.0.1", "Status:           Running", "Started    ", "Created"}) {
    EXPECT_NE(described.find(part), std::string::npos) << part << "\n" << described;
  }
  const auto node = kubectl_ok({"describe", "node", kNode});
  for (const char* part : {"KubeletReady", "keelson://", "Allocatable:", "Allocated resources:", "box"}) {
    EXPECT_NE(node.find(part), std::string::npos) << part << "\n" << node;
  }
  EXPECT_NE(kubectl_ok({"get", "--raw", "/api/v1/nodes/member-1/proxy/stats/summary"}).find("\"nodeName\""),
            std::string::npos);
}

TEST_F(KubectlTest, DrainEmptiesTheNode) {
  kubectl_ok({"create", "deployment", "web", "--image=keelson.example/server:1", "--replicas=3", "--", "/server",
              "--fail-after", "0"});
  ASSERT_NO_FATAL_FAILURE(expect_rolled_out("deployment/web"));
  kubectl_ok({"drain", kNode, "--timeout=60s", "--grace-period=1"});
  expect_soon("nothing runs", {"get", "pods", "-o", "jsonpath={.items[?(@.status.phase==\"Running\")].metadata.name}"},
              "");
  EXPECT_NE(kubectl_ok({"get", "node", kNode}).find("SchedulingDisabled"), std::string::npos);
  kubectl_ok({"uncordon", kNode});
  ASSERT_NO_FATAL_FAILURE(expect_rolled_out("deployment/web"));
}

}  // namespace
}  // namespace keelson::testing
