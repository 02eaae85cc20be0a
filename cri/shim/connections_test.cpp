// SPDX-License-Identifier: Apache-2.0
// Peers that read, and peers that do not.
#include "cri/shim/connections.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "cri/shim/client.h"

namespace keelson::cri::shim {
namespace {

using namespace std::chrono_literals;

class ConnectionsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/keelson-connections-XXXXXX";
    dir_ = ::mkdtemp(pattern.data());
    auto poller = Poller::open();
    auto listener = Listener::open(dir_);
    ASSERT_TRUE(poller && listener);
    poller_ = std::make_unique<Poller>(std::move(*poller));
    connections_ = std::make_unique<Connections>(std::move(*listener), *poller_);
  }
  void TearDown() override {
    connections_.reset();
    EXPECT_TRUE(std::filesystem::is_empty(dir_)) << "the socket was left";
    std::filesystem::remove_all(dir_);
  }

  /// A subscriber; its number is the next one.
  std::unique_ptr<ShimClient> subscriber() {
    auto client = ShimClient::connect(dir_, 1s);
    EXPECT_TRUE(client) << client.error().message();
    connections_->accept_one();
    connections_->subscribe(++last_);
    return std::move(*client);
  }

  /// Serves what is ready now.
  void serve_rest() {
    for (const auto& ready : poller_->wait()) {
      if (ready.source == Source::connection && ready.writable) {
        connections_->send_rest(ready.number);
      }
    }
  }

  std::string dir_;
  uint32_t last_ = 0;
  std::unique_ptr<Poller> poller_;
  std::unique_ptr<Connections> connections_;
};

TEST_F(ConnectionsTest, ASubscriberThatDoesNotReadIsLetGoAndNobodyWaits) {
  auto reader = subscriber();
  auto stuck = subscriber();
  ProcessStatus status;
  status.container_id = std::string(1000, 'c');
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; connections_->count() == 2; ++i) {
    ASSERT_LT(i, 10'000) << "the stuck one is still there";
    status.exit_code = i;
    connections_->publish(status);
    auto event = reader->next_event(1s);
    ASSERT_TRUE(event) << event.error().message();
    ASSERT_EQ(event->status.exit_code, i);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  // The stuck one wakes up: whole events, then the end, so that it knows.
  auto event = stuck->next_event(1s);
  int heard = 0;
  for (; event; event = stuck->next_event(1s)) {
    ASSERT_EQ(event->status.exit_code, heard++);
  }
  EXPECT_GT(heard, 10);
  EXPECT_EQ(event.error().kind(), Kind::unavailable);
}

TEST_F(ConnectionsTest, ASlowSubscriberGetsEverything) {
  auto slow = subscriber();
  ProcessStatus status;
  status.container_id = std::string(1000, 'c');
  constexpr int kEvents = 300;  // more than a socket takes, less than is too much
  for (int i = 0; i < kEvents; ++i) {
    status.exit_code = i;
    connections_->publish(status);
  }
  ASSERT_EQ(connections_->count(), 1U);
  for (int i = 0; i < kEvents; ++i) {
    auto event = slow->next_event(0ms);
    while (!event && event.error().kind() == Kind::timeout) {
      serve_rest();
      event = slow->next_event(0ms);
    }
    ASSERT_TRUE(event) << event.error().message();
    ASSERT_EQ(event->status.exit_code, i);
  }
}

TEST_F(ConnectionsTest, AnAnswerToOneWhoHasGoneGoesToNobody) {
  auto client = subscriber();
  client.reset();
  connections_->hear(1, [](Frame) { FAIL() << "nothing was asked"; });
  EXPECT_EQ(connections_->count(), 0U);
  connections_->reply(1, Answer{});
  connections_->send_rest(1);
}

TEST_F(ConnectionsTest, ABrokenConnectionWhoseCopyAChildHasIsNotHeardOfAgain) {
  Fd client(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (dir_ + "/shim.sock").copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  connections_->accept_one();
  const auto child = ::fork();
  if (child == 0) {
    client.reset();
    ::pause();
    ::_exit(0);
  }
  client.reset();
  while (connections_->count() > 0) {  // until the child has closed its copy of the client's end
    connections_->hear(1, [](Frame) { FAIL() << "nothing was asked"; });
  }
  auto next = ShimClient::connect(dir_, 1s);
  for (const auto& ready : poller_->wait()) {
    EXPECT_EQ(ready.source, Source::listener) << "the shim would turn round for as long as the child lives";
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

}  // namespace
}  // namespace keelson::cri::shim
