// SPDX-License-Identifier: Apache-2.0
// An HTTP/1.1 server on a loop: requests in, answers out.
//
//   http::Server server(loop, "healthz", [](http::Request request) { return answer(std::move(request)); });
//   KEELSON_DO(server.listen_tcp("0.0.0.0", 10256));
//   tasks.spawn("healthz", server.run());
//
// One request a connection. A body is a string, or is written piece by piece while it comes to be (a log that is
// followed, a stream of events). A request has 10 s to come and 64 KiB for its headers; bodies of requests are refused.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/loop.h"
#include "http/target.h"

namespace keelson::http {

struct Request {
  std::string method;  ///< "GET", "POST" ...
  Target target;
};

/// Writes one more piece of a body. Kind::cancelled: the client has left. Kind::timeout: it does not read.
using Sink = std::function<Task<>(std::string piece)>;

struct Response {
  int status = 200;
  std::string type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  /// Not empty: makes the body instead, chunked, until it ends. It is cancelled when the client leaves or the server
  /// ends. The status is sent before it runs.
  std::function<Task<>(Sink)> stream;
};

Response text(std::string body, int status = 200);
/// Plain text; 400 for Kind::invalid, 404 not_found, 409 conflict and exists, 503 unavailable, 504 timeout, else 500.
Response error(const Error& error);

/// Belongs to its loop. Must not be destroyed while run() has not ended.
class Server {
 public:
  /// An error of `answer` becomes error(). `name` is for the log.
  Server(Loop& loop, std::string name, std::function<Task<Response>(Request)> answer);
  ~Server();

  /// A socket file that root alone may use; one left by a dead process is replaced, and it goes with run()'s end.
  Result<> listen_unix(const std::string& path);
  /// `address`: "127.0.0.1", "0.0.0.0", "::" (both families). Returns the port, chosen by the kernel for 0.
  /// Kind::exists: somebody else serves there. What failed may be tried again.
  Result<uint16_t> listen_tcp(const std::string& address, uint16_t port);
  /// Serves until cancelled or closed; connections end with it.
  Task<> run();
  /// Listens no more, from now on: the port is free.
  void close();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace keelson::http
