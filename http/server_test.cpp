// SPDX-License-Identifier: Apache-2.0
// The server over real sockets.
#include "http/server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <thread>

#include "common/fd.h"
#include "common/task_group.h"

namespace keelson::http {
namespace {

class ServerTest : public ::testing::Test {
 protected:
  ~ServerTest() override { stop(); }

  void start() {
    tasks_.spawn("server", server_.run());
    thread_ = std::thread([this] { loop_.run(); });
  }
  void stop() {
    if (thread_.joinable()) {
      loop_.stop();
      thread_.join();
      tasks_.cancel();
      loop_.run_until_idle();
    }
  }

  Task<Response> answer(Request request) {
    const auto& path = request.target.path;
    if (path.empty()) {
      co_return text(request.method);
    }
    if (path[0] == "missing") {
      co_return fail(Kind::not_found, "no {}", path[0]);
    }
    if (path[0] == "stream") {
      co_return Response{.type = "text/plain", .body = {}, .headers = {}, .stream = [this](Sink sink) {
                           return stream(std::move(sink));
                         }};
    }
    co_return Response{.body = "{}", .headers = {{"X-Weight", "2"}}, .stream = {}};
  }
  // Tells that a stream has ended, in whatever way.
  struct Ended {
    std::promise<void>& told;
    ~Ended() { told.set_value(); }
  };
  Task<> stream(Sink sink) {
    Ended ended{ended_};
    KEELSON_CO_DO(co_await sink("one "));
    KEELSON_CO_DO(co_await sink(""));
    KEELSON_CO_DO(co_await sink("two"));
    if (!endless_) {
      co_return Result<>();
    }
    co_return co_await loop_.sleep(std::chrono::hours(1));
  }

  static Fd connect_tcp(uint16_t port) {
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    timeval limit{.tv_sec = 5, .tv_usec = 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
  }
  // Until `end` has come, or the end of the answer.
  static std::string ask(const Fd& fd, const std::string& line, const std::string& end = "\1") {
    EXPECT_TRUE(write_all(fd.get(), line + " HTTP/1.1\r\nHost: x\r\n\r\n"));
    std::string answer;
    char piece[4096];
    for (ssize_t size = 0; answer.find(end) == answer.npos && (size = ::read(fd.get(), piece, sizeof piece)) > 0;) {
      answer.append(piece, static_cast<size_t>(size));
    }
    return answer;
  }
  std::string get(const std::string& target) { return ask(connect_tcp(port_), "GET " + target); }

  bool endless_ = false;
  std::promise<void> ended_;
  uint16_t port_ = 0;
  Loop loop_{real_clock(), "test"};
  TaskGroup tasks_{loop_};
  Server server_{loop_, "test", [this](Request request) { return answer(std::move(request)); }};
  std::thread thread_;
};

TEST_F(ServerTest, AnswersAndTellsErrors) {
  auto port = server_.listen_tcp("127.0.0.1", 0);
  ASSERT_TRUE(port) << port.error().message();
  port_ = *port;
  start();
  EXPECT_TRUE(get("/").ends_with("\r\n\r\nGET"));
  auto json = get("/x");
  EXPECT_EQ(json.find("HTTP/1.1 200"), 0u);
  EXPECT_NE(json.find("X-Weight: 2\r\n"), json.npos);
  EXPECT_NE(json.find("Content-Type: application/json"), json.npos);
  auto missing = get("/missing");
  EXPECT_EQ(missing.find("HTTP/1.1 404"), 0u);
  EXPECT_TRUE(missing.ends_with("\r\n\r\nno missing"));
  EXPECT_EQ(get("/%zz").find("HTTP/1.1 400"), 0u);
  EXPECT_TRUE(get("/stream").ends_with("\r\n\r\n4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n"));
}

// Whoever stands between could read the body as another request.
TEST_F(ServerTest, ABodyHasOneLength) {
  port_ = server_.listen_tcp("127.0.0.1", 0).value();
  start();
  for (const char* headers :
       {"Content-Length: 3\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 3",
        "Content-Length: 3\r\nContent-Length: 4", "Content-Length: +3", "Content-Length : 3"}) {
    const auto client = connect_tcp(port_);
    ASSERT_TRUE(write_all(client.get(), fmt::format("POST / HTTP/1.1\r\nHost: x\r\n{}\r\n\r\n", headers)));
    char answer[12] = {};
    EXPECT_EQ(::recv(client.get(), answer, sizeof answer, MSG_WAITALL), 12) << headers;
    EXPECT_EQ(std::string(answer, 12), "HTTP/1.1 400") << headers;
  }
}

TEST_F(ServerTest, AStreamEndsWithItsClient) {
  endless_ = true;
  port_ = server_.listen_tcp("127.0.0.1", 0).value();
  start();
  {
    auto client = connect_tcp(port_);
    EXPECT_NE(ask(client, "GET /stream", "two").find("two"), std::string::npos);
  }
  EXPECT_EQ(ended_.get_future().wait_for(std::chrono::seconds(5)), std::future_status::ready);
}

TEST_F(ServerTest, APortThatIsTakenIsTold) {
  auto port = server_.listen_tcp("127.0.0.1", 0).value();
  Server other(loop_, "other", [this](Request request) { return answer(std::move(request)); });
  auto taken = other.listen_tcp("127.0.0.1", port);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().kind(), Kind::exists);
  EXPECT_EQ(taken.error().message(), fmt::format("other: something else listens on 127.0.0.1:{}", port));
  // Once the port is free it can have it.
  server_.listen_tcp("127.0.0.1", 0).value();
  EXPECT_EQ(other.listen_tcp("127.0.0.1", port).value(), port);
  EXPECT_EQ(Server(loop_, "bad", {}).listen_tcp("here", 1).error().message(), "bad: \"here\" is no IP address");
}

TEST_F(ServerTest, ASocketFileIsRootsAndGoesWithTheServer) {
  auto path = std::filesystem::temp_directory_path() / fmt::format("keelson-http-{}.sock", ::getpid());
  ASSERT_TRUE(server_.listen_unix(path));
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  start();
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.native().copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_TRUE(ask(fd, "POST /").ends_with("\r\n\r\nPOST"));
  stop();
  EXPECT_NE(::stat(path.c_str(), &status), 0);
}

TEST(Target, IsTakenApart) {
  auto target =
      parse_target("/exec/default/w%20b/main?command=sh&command=-c&command=a%26b&tty=false&stdin=true").value();
  EXPECT_EQ(target.path, (std::vector<std::string>{"exec", "default", "w b", "main"}));
  EXPECT_EQ(target.all("command"), (std::vector<std::string>{"sh", "-c", "a&b"}));
  EXPECT_FALSE(target.flag("tty"));
  EXPECT_TRUE(target.flag("stdin"));
  const auto plus = parse_target("/logs/c++.log?q=a+b").value();
  EXPECT_EQ(plus.path.back(), "c++.log");
  EXPECT_EQ(plus.text("q"), "a b");
  EXPECT_FALSE(parse_target("/a%2"));
  EXPECT_FALSE(parse_target("/a%zz"));
}

}  // namespace
}  // namespace keelson::http
