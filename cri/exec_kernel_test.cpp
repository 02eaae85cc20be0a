// SPDX-License-Identifier: Apache-2.0
// Commands in a container that do not end as they should, and those that end at once.
#include <gmock/gmock.h>

#include "cri/runtime_fixture.h"
#include "cri/streaming/spdy_test_client.h"

namespace keelson::cri {
namespace {

using Code = grpc::StatusCode;

TEST_F(RuntimeFixture, ACommandThatWritesWithoutEndIsKilledAtItsTime) {
  const auto sandbox = run_sandbox(sandbox_config("flood"));
  const auto id = run_container(sandbox, container_config("main", {"sleep", "1000"}));
  v1::ExecSyncResponse output;
  EXPECT_EQ(exec(id, {"yes"}, 1, &output).error_code(), Code::DEADLINE_EXCEEDED);
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

TEST_F(RuntimeFixture, WhoIsLeftBehindAndWritesWithoutEndHoldsNobodyUp) {
  const auto sandbox = run_sandbox(sandbox_config("left"));
  const auto id = run_container(sandbox, container_config("main", {"sleep", "1000"}));
  v1::ExecSyncResponse output;
  ASSERT_TRUE(exec(id, {"sh", "-c", "echo first; yes & exit 5"}, 60, &output).ok());
  EXPECT_EQ(output.exit_code(), 5);
  EXPECT_THAT(output.stdout(), testing::StartsWith("first\n"));
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

// As critest asks for it: with a terminal and standard input, of which nothing comes.
TEST_F(RuntimeFixture, ACommandThatEndsAtOnceHasAllItsOutputOnATerminal) {
  const auto sandbox = run_sandbox(sandbox_config("short"));
  const auto id = run_container(sandbox, container_config("main", {"sleep", "1000"}));
  v1::ExecRequest request;
  request.set_container_id(id);
  request.add_cmd("echo");
  request.add_cmd("hello");
  request.set_stdin(true);
  request.set_stdout(true);
  request.set_tty(true);
  for (int i = 0; i < 30; ++i) {
    v1::ExecResponse response;
    ASSERT_TRUE(call(&v1::RuntimeService::Stub::Exec, request, response).ok());
    SpdyClient client(response.url(), "v4.channel.k8s.io");
    const auto error = client.open({{"streamtype", "error"}});
    client.open({{"streamtype", "stdin"}});
    const auto out = client.open({{"streamtype", "stdout"}});
    client.open({{"streamtype", "resize"}});
    EXPECT_EQ(client.read_stream(out), "hello\r\n");
    EXPECT_THAT(client.read_stream(error), testing::HasSubstr("Success"));
  }
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
}

}  // namespace
}  // namespace keelson::cri
