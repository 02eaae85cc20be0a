// SPDX-License-Identifier: Apache-2.0
// PortForward and Exec by SPDY through the whole runtime: into a pod's own network, and with the right errors.
#include <gmock/gmock.h>

#include "cri/runtime_fixture.h"
#include "cri/streaming/forward_test_client.h"
#include "cri/streaming/spdy_test_client.h"

namespace keelson::cri {
namespace {

using testing::HasSubstr;

class PortForwardRpc : public RuntimeFixture {
 protected:
  std::string run_sandbox_in(v1::NamespaceMode network) {
    auto config = sandbox_config("forward");
    config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_network(network);
    return run_sandbox(config);
  }
  grpc::Status port_forward(const std::string& sandbox, std::string* url) {
    v1::PortForwardRequest request;
    request.set_pod_sandbox_id(sandbox);
    v1::PortForwardResponse response;
    const auto status = call(&v1::RuntimeService::Stub::PortForward, request, response);
    *url = response.url();
    return status;
  }
};

TEST_F(PortForwardRpc, IntoThePodsOwnNetwork) {
  const auto sandbox = run_sandbox_in(v1::POD);
  const auto id = run_container(
      sandbox, container_config("main", {"sh", "-c", "echo pod > /tmp.txt; exec busybox httpd -f -p 8080 -h /"}));
  v1::ExecSyncResponse output;  // 1F90: the port, in the table of listeners
  ASSERT_TRUE(
      exec(id, {"sh", "-c", "until busybox grep -q :1F90 /proc/net/tcp*; do busybox usleep 1000; done"}, 60, &output)
          .ok());
  std::string url;
  ASSERT_EQ(port_forward(sandbox, &url).error_message(), "");
  EXPECT_THAT(url, HasSubstr("/portforward/"));
  SpdyClient client(url, "portforward.k8s.io");
  ASSERT_EQ(client.status(), 101u);
  client.open({{"streamtype", "error"}, {"port", "8080"}, {"requestid", "0"}});
  const auto data = client.open({{"streamtype", "data"}, {"port", "8080"}, {"requestid", "0"}});
  client.send(data, "GET /tmp.txt HTTP/1.0\r\n\r\n");
  EXPECT_THAT(client.read_stream(data), HasSubstr("\r\n\r\npod\n"));

  const auto error = client.open({{"streamtype", "error"}, {"port", "8081"}, {"requestid", "1"}});
  client.open({{"streamtype", "data"}, {"port", "8081"}, {"requestid", "1"}});
  EXPECT_THAT(client.read_stream(error), HasSubstr("inside namespace \"" + sandbox + "\", IPv4: dial tcp4"));

  EXPECT_TRUE(stop_sandbox(sandbox).ok());
  const auto gone = client.open({{"streamtype", "error"}, {"port", "8080"}, {"requestid", "2"}});
  client.open({{"streamtype", "data"}, {"port", "8080"}, {"requestid", "2"}});
  EXPECT_THAT(client.read_stream(gone), HasSubstr("error forwarding port 8080"));
  EXPECT_FALSE(port_forward(sandbox, &url).ok());
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

// The ports of the RPC, as the kubelet's clients name them.
TEST_F(PortForwardRpc, WebSocketChannelsIntoThePodsOwnNetwork) {
  const auto sandbox = run_sandbox_in(v1::POD);
  const auto id = run_container(
      sandbox, container_config("main", {"sh", "-c", "echo pod > /tmp.txt; exec busybox httpd -f -p 8080 -h /"}));
  v1::ExecSyncResponse output;
  ASSERT_TRUE(
      exec(id, {"sh", "-c", "until busybox grep -q :1F90 /proc/net/tcp*; do busybox usleep 1000; done"}, 60, &output)
          .ok());
  v1::PortForwardRequest request;
  request.set_pod_sandbox_id(sandbox);
  request.add_port(8080);
  request.add_port(8081);
  v1::PortForwardResponse response;
  ASSERT_TRUE(call(&v1::RuntimeService::Stub::PortForward, request, response).ok());
  ForwardClient client(response.url(), "", "v4.channel.k8s.io");
  ASSERT_EQ(client.status(), 101u);
  client.send(std::string(1, 0) + "GET /tmp.txt HTTP/1.0\r\n\r\n");
  const auto answer = client.read_to_end(0);
  EXPECT_EQ(answer.substr(0, 2), "\x90\x1f");
  EXPECT_THAT(answer, HasSubstr("\r\n\r\npod\n"));
  EXPECT_THAT(client.read_to_end(3), HasSubstr("inside namespace \"" + sandbox + "\", IPv4: dial tcp4"));
  request.add_port(65536);
  EXPECT_EQ(call(&v1::RuntimeService::Stub::PortForward, request, response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(PortForwardRpc, HostNetworkAndUnknownSandbox) {
  std::string url;
  EXPECT_EQ(port_forward("none", &url).error_code(), grpc::StatusCode::NOT_FOUND);
  const auto sandbox = run_sandbox_in(v1::NODE);
  ASSERT_TRUE(port_forward(sandbox, &url).ok());
  SpdyClient client(url, "portforward.k8s.io");
  const auto error = client.open({{"streamtype", "error"}, {"port", "1"}, {"requestid", "0"}});
  client.open({{"streamtype", "data"}, {"port", "1"}, {"requestid", "0"}});
  EXPECT_THAT(client.read_stream(error), HasSubstr("network namespace \"host\""));
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(PortForwardRpc, TerminalBySpdy) {
  const auto sandbox = run_sandbox_in(v1::NODE);
  const auto id = run_container(sandbox, container_config("main", {"sleep", "1000"}));
  v1::ExecRequest request;
  request.set_container_id(id);
  for (const auto* word : {"sh", "-c", "read x; busybox stty size; exit 6"}) {
    request.add_cmd(word);
  }
  request.set_stdin(true);
  request.set_stdout(true);
  request.set_tty(true);
  v1::ExecResponse response;
  ASSERT_TRUE(call(&v1::RuntimeService::Stub::Exec, request, response).ok());
  SpdyClient client(response.url(), "v4.channel.k8s.io");
  const auto error = client.open({{"streamtype", "error"}}), in = client.open({{"streamtype", "stdin"}});
  const auto out = client.open({{"streamtype", "stdout"}}), resize = client.open({{"streamtype", "resize"}});
  client.send(resize, R"({"Width":101,"Height":33})");
  client.send(in, "go\n");
  EXPECT_THAT(client.read_stream(out), HasSubstr("33 101"));
  EXPECT_THAT(client.read_stream(error), HasSubstr(R"("message":"6")"));
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

}  // namespace
}  // namespace keelson::cri
