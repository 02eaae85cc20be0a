// SPDX-License-Identifier: Apache-2.0
// What Go's http.FileServer answers, on folders of the test's own.
#include "agent/kubelet_api/system_logs.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "common/task_group.h"

namespace keelson::agent {
namespace {

namespace fs = std::filesystem;

class SystemLogsTest : public ::testing::Test {
 protected:
  SystemLogsTest() {
    std::string pattern = "/tmp/keelson-system-logs-XXXXXX";
    home_ = ::mkdtemp(pattern.data());
    fs::create_directories(home_ + "/log/app");
    fs::create_directories(home_ + "/pods");
    options_.folder = home_ + "/log";
    options_.linked = {home_ + "/pods"};
    write("/log/syslog", "one\ntwo\n");
    write("/log/app/old.gz", std::string("\x1f\x8b\x08\x00", 4));
    write("/pods/0.log", "of a pod\n");
    write("/secret", "nobody's\n");
  }
  ~SystemLogsTest() override { fs::remove_all(home_); }

  void write(const std::string& file, const std::string& text) { std::ofstream(home_ + file) << text; }
  http::Response ask(const std::string& target, const std::string& method = "GET") const {
    return system_log(
        options_,
        {.method = method, .target = http::parse_target(target).value(), .path = target.substr(0, target.find('?'))});
  }
  static std::string body(http::Response response) {
    if (!response.stream) {
      return response.body;
    }
    std::string all;
    FakeClock clock;
    Loop loop(clock, "test");
    TaskGroup group(loop);
    group.spawn("read", response.stream([&all](std::string piece) { return take(&all, std::move(piece)); }));
    loop.run_until_idle();
    return all;
  }
  static Task<> take(std::string* all, std::string piece) {
    *all += piece;
    co_return Result<>();
  }
  static std::string location(const http::Response& response) {
    for (const auto& [name, value] : response.headers) {
      if (name == "Location") {
        return value;
      }
    }
    return "";
  }

  std::string home_;
  SystemLogOptions options_;
};

TEST_F(SystemLogsTest, AFolderIsAListOfLinks) {
  write("/log/a<b>&\"c\".log", "");
  write("/log/10:00 #1?.log", "");
  fs::create_symlink("app", home_ + "/log/link");
  const auto list = ask("/logs/");
  EXPECT_EQ(list.status, 200);
  EXPECT_EQ(list.type, "text/html; charset=utf-8");
  EXPECT_EQ(list.body,
            "<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n"
            "<a href=\"./10:00%20%231%3F.log\">10:00 #1?.log</a>\n"
            "<a href=\"a%3Cb%3E&%22c%22.log\">a&lt;b&gt;&amp;&#34;c&#34;.log</a>\n"
            "<a href=\"app/\">app/</a>\n"
            "<a href=\"link\">link</a>\n"
            "<a href=\"syslog\">syslog</a>\n"
            "</pre>\n");
  EXPECT_EQ(location(ask("/logs/app")), "app/");
  EXPECT_EQ(ask("/logs/app").status, 301);
  EXPECT_EQ(ask("/logs/link/").status, 200);
}

TEST_F(SystemLogsTest, AFileIsAsItIs) {
  EXPECT_EQ(body(ask("/logs/syslog")), "one\ntwo\n");
  EXPECT_EQ(ask("/logs/syslog").type, "text/plain; charset=utf-8");
  EXPECT_EQ(ask("/logs/app/old.gz").type, "application/x-gzip");
  EXPECT_EQ(location(ask("/logs/syslog/")), "../syslog");
  const std::string large(200'000, 'x');
  write("/log/large", large);
  EXPECT_EQ(body(ask("/logs/large")), large);
}

TEST_F(SystemLogsTest, LinksLeadToLogsAlone) {
  fs::create_symlink(home_ + "/pods/0.log", home_ + "/log/pod.log");
  fs::create_symlink(home_ + "/secret", home_ + "/log/stolen");
  fs::create_symlink(home_, home_ + "/log/up");
  ASSERT_EQ(::mkfifo((home_ + "/log/pipe").c_str(), 0600), 0);
  EXPECT_EQ(body(ask("/logs/pod.log")), "of a pod\n");
  EXPECT_EQ(ask("/logs/stolen").status, 403);
  EXPECT_EQ(ask("/logs/up/").status, 403);
  EXPECT_EQ(ask("/logs/up/secret").status, 403);
  EXPECT_EQ(ask("/logs/up/pods/0.log").status, 200) << "where it is counts, not how it is reached";
  EXPECT_EQ(ask("/logs/pipe").status, 403);
  EXPECT_EQ(ask("/logs/../secret").status, 404);
  EXPECT_EQ(ask("/logs/..%2fsecret").status, 404);
}

TEST_F(SystemLogsTest, WhatIsNotServedIsSaid) {
  EXPECT_EQ(ask("/logs/none").status, 404);
  EXPECT_EQ(ask("/logs/syslog/none").status, 404);
  EXPECT_EQ(ask("/logs/", "POST").status, 405);
  EXPECT_EQ(ask("/logs/?query=kubelet").status, 400);
  options_.enabled = false;
  EXPECT_EQ(ask("/logs/").status, 405);
  EXPECT_EQ(ask("/logs/").body, "logs endpoint is disabled.\n");
}

}  // namespace
}  // namespace keelson::agent
