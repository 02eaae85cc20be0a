// SPDX-License-Identifier: Apache-2.0
// The admin API over a real socket; logs as kubectl shows them.
#include "agent/api_server.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "agent/container_log.h"
#include "agent/small_world.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/task_group.h"

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;

std::string line(int second, const std::string& text, const char* tag = "F") {
  return fmt::format("2023-11-14T22:13:{:02}.000000000Z stdout {} {}\n", second, tag, text);
}

/// One request on a blocking socket, to the end of the answer; `after_two` is called once "two" has come.
std::string ask(const std::string& path, const std::string& request, const std::function<void()>& after_two = {}) {
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  timeval limit{.tv_sec = 5, .tv_usec = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return "no connection";
  }
  if (!write_all(fd.get(), request + " HTTP/1.1\r\nHost: x\r\n\r\n")) {
    return "not sent";
  }
  std::string answer;
  char piece[4096];
  for (ssize_t size = 0; (size = ::read(fd.get(), piece, sizeof piece)) > 0;) {
    bool before = answer.find("two") == std::string::npos;
    answer.append(piece, static_cast<size_t>(size));
    if (after_two && before && answer.find("two") != std::string::npos) {
      after_two();
    }
  }
  return answer;
}

class ApiServerTest : public ::testing::Test {
 protected:
  ApiServerTest() {
    log::set_level(log::Level::off);
    char path[] = "/tmp/keelson-api-XXXXXX";
    dir = ::mkdtemp(path);
    world.changed = [this](const std::string& uid) { agent.runtime_changed(uid); };
    group.spawn("agent", agent.run());
    group.spawn("server", server.run(dir + "/admin.sock"));
    kube::DesiredState state;
    kube::Pod pod;
    pod.metadata = {.name = "web", .ns = "default", .uid = "u1"};
    pod.spec.containers.emplace_back().name = "main";
    pod.spec.containers[0].image = "img";
    state.pods.emplace("default/web", pod);
    agent.desired(std::move(state));
    loop.run_until_idle();
    log_path = dir + "/0.log";
    std::ofstream(log_path) << line(1, "one") << line(2, "two");
    world.containers.begin()->second.log_path = log_path;
    agent.runtime_changed("u1");
    loop.run_until_idle();
    thread = std::thread([this] { loop.run(); });
  }
  ~ApiServerTest() override {
    loop.stop();
    thread.join();
    group.cancel();
    loop.run_until_idle();
    std::filesystem::remove_all(dir);
  }
  std::string get(const std::string& target) { return ask(dir + "/admin.sock", "GET " + target); }
  static std::string body(const std::string& answer) { return answer.substr(answer.find("\r\n\r\n") + 4); }

  std::string dir;
  std::string log_path;
  Loop loop{real_clock(), "test"};
  SmallWorld world{loop};
  std::unique_ptr<cri::RuntimeClient> service = cri::connect_runtime(loop, "/nonexistent/cri.sock");
  Agent agent{loop, {.node_name = "n1"}, world};
  ApiServer server{loop, agent, *service};
  TaskGroup group{loop};
  std::thread thread;
};

TEST_F(ApiServerTest, AnswersItsPaths) {
  struct stat status{};
  ASSERT_EQ(::stat((dir + "/admin.sock").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  EXPECT_EQ(body(get("/healthz")), "ok");
  EXPECT_NE(get("/pods").find("\"kind\":\"PodList\""), std::string::npos);
  EXPECT_NE(get("/events?namespace=default&name=web").find("\"reason\":\"Started\""), std::string::npos);
  EXPECT_EQ(get("/events?name=other").find("Started"), std::string::npos);
  EXPECT_NE(get("/timeline/default/web").find("\"totalMicros\""), std::string::npos);
  EXPECT_EQ(get("/timeline/default/absent").find("HTTP/1.1 404"), 0U);
  EXPECT_EQ(body(get("/timeline/default/absent")), "pods \"absent\" not found");
  EXPECT_EQ(get("/nothing").find("HTTP/1.1 404"), 0U);
  EXPECT_EQ(ask(dir + "/admin.sock", "POST /exec/default/web/main?tty=false").find("HTTP/1.1 400"), 0U);
}

TEST_F(ApiServerTest, ShowsLogs) {
  EXPECT_EQ(body(get("/containerLogs/default/web/main")), "one\ntwo\n");
  EXPECT_EQ(body(get("/containerLogs/default/web/main?tailLines=1")), "two\n");
  EXPECT_EQ(get("/containerLogs/default/web/main?tailLines=x").find("HTTP/1.1 400"), 0U);
  EXPECT_EQ(get("/containerLogs/default/web/other").find("HTTP/1.1 404"), 0U);
  EXPECT_EQ(get("/containerLogs/default/web/main?previous=true").find("HTTP/1.1 400"), 0U);
}

TEST_F(ApiServerTest, ShowsWhatOfALogIsAskedFor) {
  std::ofstream(log_path, std::ios::app) << "2023-11-14T22:13:03.000000000Z stderr F three\n";
  const std::string log = "/containerLogs/default/web/main";
  EXPECT_EQ(body(get(log + "?stream=Stdout")), "one\ntwo\n");
  EXPECT_EQ(body(get(log + "?stream=Stderr")), "three\n");
  EXPECT_EQ(body(get(log + "?stream=All&limitBytes=5")), "one\nt");
  EXPECT_EQ(body(get(log + "?sinceTime=2023-11-14T22:13:02Z")), "two\nthree\n");
  EXPECT_EQ(body(get(log + "?sinceTime=2023-11-14T22:13:02Z&timestamps=true&stream=Stdout")),
            "2023-11-14T22:13:02.000000000Z two\n");
  for (const char* wrong : {"?stream=Other", "?stream=Stdout&tailLines=1", "?sinceTime=today",
                            "?sinceTime=2023-11-14T22:13:02Z&sinceSeconds=1"}) {
    EXPECT_EQ(get(log + wrong).find("HTTP/1.1 400"), 0U) << wrong;
  }
}

TEST_F(ApiServerTest, TellsWhatIsAskedWrongly) {
  const auto status = [this](const std::string& request) { return ask(dir + "/admin.sock", request).substr(9, 3); };
  EXPECT_EQ(status("POST /pods"), "405");
  EXPECT_EQ(status("GET /run/default/web/main?cmd=id"), "405");
  EXPECT_EQ(status("POST /run/default/web/main"), "400") << "without a command";
  EXPECT_EQ(status("POST /exec/default/web/u1/other?command=id"), "404");
  EXPECT_EQ(status("POST /exec/default/web/u2/main?command=id"), "404") << "another pod of that name";
  EXPECT_EQ(status("POST /exec/default/web/u1/main/more?command=id"), "400");
  EXPECT_EQ(status("POST /portForward/default/web?port=http"), "400");
  EXPECT_EQ(status("POST /portForward/default/absent"), "404");
  EXPECT_NE(get("/runningpods").find("\"name\":\"web\""), std::string::npos);
}

TEST_F(ApiServerTest, FollowsOverARotationToTheEnd) {
  auto answer = ask(dir + "/admin.sock", "GET /containerLogs/default/web/main?follow=true", [this] {
    std::ofstream(log_path, std::ios::app) << line(3, "three");
    std::filesystem::rename(log_path, log_path + ".1");
    std::ofstream(log_path) << line(4, "four");
    loop.post([this] { world.exit_container(world.running("main"), 0); });
  });
  for (const char* text : {"one", "two", "three", "four"}) {
    EXPECT_NE(answer.find(text), std::string::npos) << answer;
  }
  EXPECT_NE(answer.find("0\r\n\r\n"), std::string::npos) << answer;
}

TEST_F(ApiServerTest, AFollowEndsWithItsClient) {
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (dir + "/admin.sock").copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_TRUE(write_all(fd.get(), "GET /containerLogs/default/web/main?follow=true HTTP/1.1\r\nHost: x\r\n\r\n"));
  std::string answer;
  char piece[4096];
  while (answer.find("two") == std::string::npos) {
    const auto size = ::read(fd.get(), piece, sizeof piece);
    ASSERT_GT(size, 0);
    answer.append(piece, static_cast<size_t>(size));
  }
  const auto open = [] { return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}); };
  const auto before = open();
  fd.reset();
  // Our end, the server's, and the log's file, with nothing written meanwhile.
  const auto end = std::chrono::steady_clock::now() + 5s;
  while (open() > before - 3 && std::chrono::steady_clock::now() < end) {
    std::this_thread::yield();
  }
  EXPECT_LE(open(), before - 3);
}

TEST(ContainerLog, OptionsAndParts) {
  LogFilter parts({});
  EXPECT_EQ(parts.show("2023-11-14T22:13:20.000000001Z stdout P a"), "a");
  EXPECT_EQ(parts.show("2023-11-14T22:13:20.000000001Z stdout F b"), "b\n");
  EXPECT_EQ(parts.show("no CRI line"), "no CRI line\n");
  LogFilter since({.since = parse_rfc3339("2023-11-14T22:13:21Z").value(), .timestamps = true});
  EXPECT_EQ(since.show("2023-11-14T22:13:20.000000001Z stdout F old"), "");
  EXPECT_EQ(since.show("2023-11-14T22:13:21.000000001Z stderr F new"), "2023-11-14T22:13:21.000000001Z new\n");
  LogFilter limit({.limit_bytes = 3});
  EXPECT_EQ(limit.show("2023-11-14T22:13:20.000000001Z stdout F abcdef"), "abc");
  EXPECT_TRUE(limit.full());
}

}  // namespace
}  // namespace keelson::agent
