// SPDX-License-Identifier: Apache-2.0
// An HTTP/1.1 server on a loop: requests in, answers out.
//
//   http::Server server(loop, "healthz", [](http::Request request) { return answer(std::move(request)); });
//   KEELSON_DO(server.listen_tcp("0.0.0.0", 10256));
//   tasks.spawn("healthz", server.run());
//
// A body is a string, or is written piece by piece while it comes to be (a log that is followed, a stream of events),
// or the handler takes the connection over. A request has 10 s to come (as has a TLS handshake) and 64 KiB for its
// headers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/loop.h"
#include "http/connection.h"
#include "http/target.h"
#include "http/tls_certificate.h"

namespace keelson::http {

struct Request {
  std::string method;  ///< "GET", "POST" ...
  Target target;
  std::string path = {};                                          ///< As sent: "/exec/default/web/main".
  std::string query = {};                                         ///< As sent, behind the "?".
  std::vector<std::pair<std::string, std::string>> headers = {};  ///< May hold secrets: never logged.
  std::string body = {};
  /// Whoever the client says it is by TLS: in DER, its own first. Nobody has checked them. Null: it has shown none.
  std::shared_ptr<const std::vector<std::string>> certificates = {};

  /// The first value of a header; empty if there is none. Names have no case.
  std::string header(std::string_view name) const;
  bool wants_upgrade() const;
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
  /// Not empty: instead of all above. The connection is its own from here on, to write the answer's head and what
  /// comes behind; it is closed when the task ends, and cancelled when the server ends.
  std::function<Task<>(std::unique_ptr<Connection>)> take_over = {};
};

Response text(std::string body, int status = 200);
/// Plain text; 400 for Kind::invalid, 404 not_found, 409 conflict and exists, 503 unavailable, 504 timeout, else 500.
Response error(const Error& error);

using Answer = std::function<Task<Response>(Request)>;

struct ServerOptions {
  std::shared_ptr<TlsCertificate> tls = {};  ///< Null: plain.
  bool keep_alive = false;                   ///< Otherwise one request a connection.
  Duration idle = std::chrono::seconds(90);  ///< How long a connection is kept for another request.
  size_t max_body = 0;                       ///< Bytes of a request's; more is refused with 413.
  /// One more makes that one go which has been without a request longest; it waits while there is none.
  size_t max_connections = 1024;
};

/// Belongs to its loop. Must not be destroyed while run() has not ended.
class Server {
 public:
  /// An error of `answer` becomes error(). `name` is for the log.
  Server(Loop& loop, std::string name, Answer answer, ServerOptions options = {});
  ~Server();

  /// A socket file that root alone may use; one left by a dead process is replaced, and it goes with run()'s end.
  Result<> listen_unix(const std::string& path);
  /// `address`: "127.0.0.1", "0.0.0.0", "::" (both families). Returns the port, chosen by the kernel for 0.
  /// Kind::exists: somebody else serves there. What failed may be tried again.
  Result<uint16_t> listen_tcp(const std::string& address, uint16_t port);
  /// Serves until cancelled or closed; connections have ended before it ends. Once.
  Task<> run();
  /// Listens no more, from now on: the port is free.
  void close();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace keelson::http
