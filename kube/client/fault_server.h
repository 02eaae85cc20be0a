// SPDX-License-Identifier: Apache-2.0
// An API server of Services for tests, over TLS, that breaks in the ways a real one can.
#pragma once

#include <map>
#include <random>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>

#include "common/loop.h"
#include "common/task_group.h"
#include "kube/client/kubeconfig.h"
#include "tests/support/certificates.h"

namespace keelson::kube {

/// Chances out of 1000, each taken by the server's seed.
struct Faults {
  int refuse = 0;  ///< An answer of `refuse_status`.
  int refuse_status = 500;
  int cut = 0;         ///< A list, or an event, breaks off in the middle, with the connection.
  int split = 0;       ///< An event comes in two parts.
  int duplicate = 0;   ///< An event comes twice.
  int delay = 0;       ///< An event comes a second later.
  int gone = 0;        ///< A watch is answered with 410.
  int gone_page = 0;   ///< A page but the first.
  int gone_event = 0;  ///< ... or ends with an ERROR event.
  int garbage = 0;     ///< A proxy's page instead of an answer.
};

struct FaultServerOptions {
  uint64_t seed = 1;
  std::string address = "127.0.0.1";
  std::shared_ptr<testing::TestAuthority> authority = std::make_shared<testing::TestAuthority>();
};

/// On a loop, with a world that the test changes at will. HTTP/1.1: a connection a request at a time.
class FaultServer {
 public:
  FaultServer(Loop& loop, FaultServerOptions options);

  /// What a client needs; `token` is the one that the server takes now.
  ClusterAccess access(const std::string& token = "good") const;
  ServerAddress address() const;
  const FaultServerOptions& options() const { return options_; }

  /// Stops taking connections, and breaks those there are. Frees the port until listen().
  void shut();
  void listen();
  Task<> close();

  /// Changes of the world, each a new version.
  void put(const std::string& name, int port);
  void remove(const std::string& name);
  /// Forgets the history: who watches from before now gets 410.
  void compact();
  /// A version that is only said by bookmarks: other kinds change.
  void pass();
  void send_bookmarks();

  Faults faults;
  std::string token = "good";
  /// Takes requests, and never answers.
  bool mute = false;
  /// Lists from the newest version, as if another server's cache were behind: "Too large resource version".
  bool lagging = false;

  struct Seen {
    std::string target;
    SteadyTime when;
  };
  const std::vector<Seen>& requests() const { return requests_; }
  std::map<std::string, int> world() const;
  size_t watch_count() const { return watching_; }

 private:
  struct Object {
    int port = 0;
    uint64_t version = 0;
  };
  struct Event {
    uint64_t version = 0;
    std::string json;
  };
  struct Connection;
  using Peer = std::shared_ptr<Connection>;

  Task<> accept();
  Task<> serve(Peer peer);
  Task<bool> answer(Peer peer, std::string target, std::string authorization);
  Task<bool> list(Peer peer, std::map<std::string, std::string> query);
  Task<bool> watch(Peer peer, std::map<std::string, std::string> query);
  Task<bool> send_event(Peer peer, std::string json);
  bool chance(int of_1000) { return static_cast<int>(random_() % 1000) < of_1000; }
  void record(std::string_view type, const std::string& name, const Object& object);
  void wake();

  Loop& loop_;
  const FaultServerOptions options_;
  asio::ssl::context tls_;
  asio::ip::tcp::acceptor acceptor_;
  uint16_t port_ = 0;
  TaskGroup tasks_;
  std::mt19937_64 random_;
  std::map<std::string, Object> objects_;
  std::vector<Event> events_;
  uint64_t version_ = 100;
  uint64_t oldest_ = 100;  // watches may begin here or later
  asio::steady_timer changed_;
  std::vector<Seen> requests_;
  std::vector<std::weak_ptr<Connection>> peers_;
  size_t watching_ = 0;
};

}  // namespace keelson::kube
