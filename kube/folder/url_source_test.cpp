// SPDX-License-Identifier: Apache-2.0
// A URL of manifests whose server says this and that, and what a real one is asked.
#include "kube/folder/url_source.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <deque>
#include <filesystem>
#include <thread>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

#include "common/atomic_file.h"
#include "common/log.h"
#include "common/task_group.h"
#include "kube/folder/manifest_source.h"

namespace keelson::kube {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;
using namespace std::chrono_literals;

std::string pod_yaml(const std::string& name, const std::string& image = "img:1") {
  return fmt::format(
      "apiVersion: v1\nkind: Pod\nmetadata: {{name: {}}}\nspec:\n  containers:\n  - name: main\n    image: {}\n", name,
      image);
}

class UrlSourceTest : public ::testing::Test {
 protected:
  UrlSourceTest() { log::set_level(log::Level::off); }
  /// Before the source goes.
  void end() {
    group.cancel();
    loop.run_until_idle();
  }

  UrlSource::Fetch script() {
    return [this]() -> Task<std::string> { return next(); };
  }
  Task<std::string> next() {
    if (answers.size() > 1) {
      auto answer = std::move(answers.front());
      answers.pop_front();
      co_return answer;
    }
    co_return answers.front();
  }
  std::string image(const std::string& name) {
    const auto found = states.back().pods.find("default/" + name);
    return found == states.back().pods.end() ? "" : found->second.spec.containers[0].image;
  }

  std::deque<Result<std::string>> answers;
  std::vector<DesiredState> states;
  FakeClock clock;
  Loop loop{clock, "test"};
  TaskGroup group{loop};
};

TEST_F(UrlSourceTest, TheLastGoodAnswerCounts) {
  answers = {pod_yaml("web"),       pod_yaml("web"),          fail(Kind::unavailable, "connection refused"),
             pod_yaml("web", "[]"), pod_yaml("web", "img:2"), ""};
  UrlSource source(
      loop, {.url = "http://example.test/"}, [this](DesiredState state) { states.push_back(std::move(state)); },
      script());
  group.spawn("source", source.run());
  loop.run_until_idle();
  ASSERT_EQ(states.size(), 1U);
  EXPECT_EQ(image("web"), "img:1");
  loop.advance(clock, 40s);
  EXPECT_EQ(states.size(), 1U) << "the same, and then no answer";
  loop.advance(clock, 20s);
  ASSERT_EQ(states.size(), 2U);
  EXPECT_EQ(image("web"), "img:1") << "the last good version";
  EXPECT_THAT(states.back().problems.at(0).text, HasSubstr("staticPodURL:7: spec.containers[0].image"));
  loop.advance(clock, 20s);
  EXPECT_EQ(image("web"), "img:2");
  loop.advance(clock, 20s);
  EXPECT_TRUE(states.back().pods.empty()) << "nothing is what it wants now";
  end();
}

TEST_F(UrlSourceTest, AFolderAndAUrlAreOneState) {
  std::string pattern = ::testing::TempDir() + "keelson-manifests-XXXXXX";
  const std::string folder = ::mkdtemp(pattern.data());
  ASSERT_TRUE(write_file_atomic(folder + "/pods.yaml", pod_yaml("web", "of-the-folder")));
  answers = {fail(Kind::unavailable, "connection refused"), pod_yaml("web") + "---\n" + pod_yaml("other")};
  ManifestSource source(
      loop, folder, {.url = "http://example.test/"}, [this](DesiredState state) { states.push_back(std::move(state)); },
      script());
  group.spawn("source", source.run());
  loop.run_until_idle();
  ASSERT_EQ(states.size(), 1U);
  EXPECT_THAT(states[0].pods, ElementsAre(Key("default/web")));
  EXPECT_FALSE(states[0].complete) << "the URL has not told anything";
  loop.advance(clock, 20s);
  EXPECT_TRUE(states.back().complete);
  EXPECT_THAT(states.back().pods, ElementsAre(Key("default/other"), Key("default/web")));
  EXPECT_THAT(states.back().of_url, ElementsAre("default/other"));
  EXPECT_EQ(image("web"), "of-the-folder");
  EXPECT_THAT(states.back().problems.at(0).text, HasSubstr("Pod default/web is already defined in the folder"));
  end();
  std::filesystem::remove_all(folder);
}

/// Answers each connection once, in order, from a thread.
class Server {
 public:
  explicit Server(std::vector<std::string> answers)
      : thread_([this, answers = std::move(answers)] {
          for (const auto& answer : answers) {
            auto socket = acceptor_.accept();
            std::string request;
            asio::read_until(socket, asio::dynamic_buffer(request), "\r\n\r\n");
            requests.push_back(std::move(request));
            boost::system::error_code gone;  // who has had enough
            asio::write(socket, asio::buffer(answer), gone);
          }
        }) {}
  std::string url() const { return fmt::format("http://127.0.0.1:{}", port_); }
  void join() { thread_.join(); }

  std::vector<std::string> requests;  ///< Once joined.

 private:
  asio::io_context io_;
  asio::ip::tcp::acceptor acceptor_{io_, {asio::ip::address_v4::loopback(), 0}};
  const uint16_t port_ = acceptor_.local_endpoint().port();
  std::jthread thread_;
};

std::string reply(const std::string& status, const std::string& body) {
  return fmt::format("HTTP/1.1 {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}", status, body.size(), body);
}

TEST(Fetch, FollowsRedirectsAndSendsItsHeaders) {
  Server server({"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                 reply("200 OK", "pods"), reply("404 Not Found", "no")});
  const std::atomic<bool> stop = false;
  const ManifestUrl where{.url = server.url() + "/pods.yaml", .headers = {"X-Node: n1"}};
  EXPECT_EQ(fetch(where, stop).value(), "pods");
  const auto missing = fetch(where, stop);
  server.join();
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message(), "the answer is HTTP status 404, not 200");
  ASSERT_EQ(server.requests.size(), 3U);
  EXPECT_THAT(server.requests[0], HasSubstr("GET /pods.yaml HTTP/1.1\r\n"));
  EXPECT_THAT(server.requests[0], HasSubstr("X-Node: n1\r\n"));
  EXPECT_THAT(server.requests[1], HasSubstr("GET /other HTTP/1.1\r\n"));
}

TEST(Fetch, AnswersThatAreTooLongAndOtherSchemesAreRefused) {
  Server server({reply("200 OK", std::string(kMaxTextSize + 1, 'x'))});
  const std::atomic<bool> stop = false;
  const auto flood = fetch({.url = server.url()}, stop);
  EXPECT_EQ(flood ? Kind::internal : flood.error().kind(), Kind::exhausted);
  EXPECT_FALSE(fetch({.url = "file:///etc/hostname"}, stop));
}

}  // namespace
}  // namespace keelson::kube
