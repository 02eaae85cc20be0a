// SPDX-License-Identifier: Apache-2.0
// One pod's life through the command line.
#include <fmt/format.h>

#include <fstream>

#include "tests/support/certificates.h"
#include "tests/support/cluster_images.h"
#include "tests/support/node_fixture.h"

namespace keelson::testing {
namespace {

using namespace std::chrono_literals;

std::string shell_pod(const std::string& name, const std::string& command, const std::string& more = "") {
  return fmt::format(R"(apiVersion: v1
kind: Pod
metadata: {{name: {}}}
spec:
  terminationGracePeriodSeconds: 2
{}  containers:
  - name: main
    image: keelson.example/busybox:1
    command: ["sh", "-c", "{}"]
)",
                     name, more, command);
}

class LifecycleTest : public NodeTest {
 protected:
  void SetUp() override {
    NodeTest::SetUp();
    if (!IsSkipped()) {
      make_images(home() + "/images");
      start_node();
    }
  }
};

TEST_F(LifecycleTest, LogsExecAndDescribe) {
  apply("shell.yaml", shell_pod("shell", "echo hello; echo oops >&2; trap 'exit 0' TERM; while :; do sleep 1; done"));
  wait_ready("shell");
  wait_until("the log is there", [&] { return keelson({"logs", "shell"}).out == "hello\noops\n"; });
  EXPECT_EQ(keelson({"logs", "shell", "--tail", "1"}).out, "oops\n");
  auto ran = keelson({"exec", "shell", "--", "sh", "-c", "echo $((6 * 7)); echo err >&2; exit 5"});
  EXPECT_EQ(ran.out, "42\n");
  EXPECT_EQ(ran.error, "err\n");
  EXPECT_EQ(ran.code, 5);
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(keelson({"exec", "shell", "--", "sh", "-c", "kill -SEGV $$"}).code, 139) << i;
  }
  auto described = keelson({"describe", "pod", "shell"}).out;
  for (const char* reason : {"Pulled", "Created", "Started"}) {
    EXPECT_NE(described.find(reason), std::string::npos) << described;
  }
  auto spans = keelson({"timeline", "shell"}).out;
  EXPECT_NE(spans.find("sandbox"), std::string::npos) << spans;
}

// The flags of the streaming server, and both ends of its TLS; more input than the buffers on the way hold.
TEST_F(LifecycleTest, ExecOverTls) {
  const auto pair = TestAuthority().issue("node");
  std::ofstream(home() + "/tls.crt") << pair.certificate;
  std::ofstream(home() + "/tls.key") << pair.key;
  const std::vector<std::string> flags = {"--stream-tls-cert-file", home() + "/tls.crt", "--stream-tls-key-file",
                                          home() + "/tls.key"};
  kill_node();
  start_node(flags);
  apply("shell.yaml", shell_pod("shell", "trap 'exit 0' TERM; while :; do sleep 1; done"));
  wait_ready("shell");
  const auto asked = keelson({"exec", "shell", "--", "sh", "-c", "echo $((6 * 7)); echo err >&2; exit 5"});
  EXPECT_EQ(asked.out, "42\n") << asked.error;
  EXPECT_EQ(asked.error, "err\n");
  EXPECT_EQ(asked.code, 5);
  const std::string input(3 << 20, 'x');
  EXPECT_TRUE(keelson({"exec", "-i", "shell", "--", "cat"}, input).out == input);
}

TEST_F(LifecycleTest, CrashBacksOffAndKeepsThePreviousLog) {
  apply("crash.yaml", shell_pod("crash", "echo run; exit 3"));
  wait_until("a restart", [&] { return restarts("crash") >= 1; });
  wait_until("back-off",
             [&] { return keelson({"get", "pod", "crash"}).out.find("CrashLoopBackOff") != std::string::npos; });
  EXPECT_EQ(keelson({"logs", "crash", "-p"}).out, "run\n");
  wait_until("it is told", [&] {
    return keelson({"events", "--for", "pod/crash"})
               .out.find("Back-off restarting failed container main in pod crash") != std::string::npos;
  });
}

TEST_F(LifecycleTest, RemovedManifestEndsThePod) {
  apply("gone.yaml", shell_pod("gone", "trap 'exit 0' TERM; while :; do sleep 1; done"));
  wait_ready("gone");
  remove("gone.yaml");
  wait_gone("gone");
}

TEST_F(LifecycleTest, APodOfItsOwnUsers) {
  apply("mapped.yaml", shell_pod("mapped", "trap 'exit 0' TERM; while :; do sleep 1; done",
                                 R"(  hostUsers: false
  volumes: [{name: data, emptyDir: {}}, {name: memory, emptyDir: {medium: Memory}}]
)"
                                 "  initContainers: [{name: writes, image: 'keelson.example/busybox:1', volumeMounts: "
                                 "[{name: data, mountPath: /data}, "
                                 "{name: memory, mountPath: /memory}], command: [sh, -c, 'id -u > "
                                 "/data/id; touch /memory/it']}]\n"));
  wait_ready("mapped");
  const auto map = run({"cat", fmt::format("/proc/{}/uid_map", process_of("mapped", "main"))}).out;
  EXPECT_EQ(map, "         0      65536      65536\n");
  const auto inside = keelson({"exec", "mapped", "--", "sh", "-c", "id -u; cat /proc/self/gid_map; touch /etc/hosts"});
  EXPECT_EQ(inside.out, "0\n" + map) << inside.error;
  EXPECT_EQ(inside.code, 0) << inside.error;
  remove("mapped.yaml");
  wait_gone("mapped");
}

TEST_F(LifecycleTest, BadInputLeavesRunningPodsAlone) {
  apply("good.yaml", shell_pod("good", "while :; do sleep 1; done"));
  wait_ready("good");
  auto before = process_of("good", "main");
  apply("bad.yaml",
        "kind: Pod\napiVersion: v1\nmetadata: {name: bad}\nspec:\n  containers:\n  - name: a\n    image: b\n"
        "    livenessProbe: {httpGet: {port: 70000}}\n");
  apply("broken.yaml", "a: [");
  wait_until("the error names file and field", [&] {
    auto text = whole_log();
    return text.find("bad.yaml") != std::string::npos &&
           text.find("spec.containers[0].livenessProbe.httpGet.port") != std::string::npos &&
           text.find("broken.yaml") != std::string::npos;
  });
  EXPECT_EQ(process_of("good", "main"), before);
  EXPECT_EQ(restarts("good"), 0);
}

TEST_F(LifecycleTest, PodsReachEachOtherAndTheHostReachesPods) {
  apply("server.yaml", R"(apiVersion: v1
kind: Pod
metadata: {name: server}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: main, image: "keelson.example/server:1", args: ["/server", "--fail-after", "0", "--name", "from-server"]}
)");
  apply("client.yaml", shell_pod("client", "while :; do sleep 1; done"));
  wait_ready("server");
  wait_ready("client");
  auto address = std::string(pod("server").at("status").at("podIP").as_string());
  wait_until("the server listens", [&] {
    return keelson({"exec", "client", "--", "wget", "-qO-", "http://" + address + ":8080/"}).out == "from-server";
  });
  EXPECT_EQ(run({"curl", "-s", "--max-time", "20", "http://" + address + ":8080/"}).out, "from-server");
}

}  // namespace
}  // namespace keelson::testing
