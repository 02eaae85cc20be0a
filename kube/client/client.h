// SPDX-License-Identifier: Apache-2.0
// Requests to the API servers of a cluster, on a Loop: one connection for all of them, and another server when one
// fails.
//
// - All requests share one HTTP/2 connection, watches too.
// - A server that has gone without a word is noticed within 10 s, one that is there but does not answer within
//   `silence` + `probe_deadline`; what waits for it then fails with Kind::unavailable.
// - When no connection can be made, the next server is tried, within the same request. The one that answered last is
//   tried first.
// - 401 asks the credential's source anew, once, within the same request.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/loop.h"
#include "common/stats.h"
#include "kube/client/kubeconfig.h"
#include "kube/client/request_stats.h"
#include "kube/client/transport.h"

namespace keelson::kube {

struct ClientOptions {
  std::chrono::milliseconds connect_deadline{5'000};  ///< TCP and TLS, for one server.
  std::chrono::milliseconds silence{30'000};  ///< Nothing heard for so long: the server is asked for its version.
  std::chrono::milliseconds probe_deadline{10'000};  ///< ... and must answer within this.
  std::shared_ptr<RequestStats> stats = nullptr;     ///< Counts with other clients; none: alone.
};

struct Request {
  std::string method = "GET";
  std::string path;  ///< "/api/v1/services?limit=500": percent-encoded where it must be (add_query()).
  std::string body;
  std::string content_type = "application/json";
};

/// Adds "?name=value" or "&name=value", encoded.
void add_query(std::string& path, std::string_view name, std::string_view value);

struct Response {
  int status = 0;
  std::string body;
  std::optional<Duration> retry_after;
};

/// An answer whose body is read as it comes. Destroying it ends the request.
class Answer {
 public:
  virtual ~Answer() = default;
  virtual int status() const = 0;
  /// The header Retry-After, at most 5 minutes.
  virtual std::optional<Duration> retry_after() const = 0;
  /// The next part, as much as is there; empty: the body has ended. Kind::unavailable: it was cut short. If nobody
  /// reads, at most 4 MiB are kept, and the connection stands still.
  virtual Task<std::string> read() = 0;
};

/// All calls on the loop's thread; the loop outlives it. close() must have ended before it is destroyed; its end waits
/// for a credential plugin that runs, at most that one's deadline.
class Client {
 public:
  /// `transport` not given: libcurl's.
  Client(Loop& loop, ClusterAccess access, ClientOptions options = {}, std::unique_ptr<Transport> transport = nullptr);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Sends, and waits at most `deadline` for an answer to begin, over all servers. Any status is an answer. Errors name
  /// the server: Kind::unavailable or timeout; those of credentials come from their source.
  Task<std::unique_ptr<Answer>> open(Request request, Duration deadline);
  /// The same with the whole body, at most 16 MiB (Kind::exhausted), within `deadline`.
  Task<Response> request(Request request, Duration deadline);

  /// Other servers of the cluster, tried in this order when the one of the access cannot be reached. Their certificates
  /// must name the same host as its does, or kubernetes.default.svc if that is an address.
  void set_other_servers(const std::vector<ServerAddress>& servers);
  /// For a caller that got no answer in time, and will not wait until a dead connection is found to be one: closes it,
  /// so that the next request makes a new one, to another server if one is known. All that waits on it ends with
  /// Kind::unavailable.
  void drop_connection();
  /// The server that answered last; not given before the first answer.
  std::optional<ServerAddress> server() const;

  /// How requests went: client-go's metrics (rest_client_...); those of all clients it counts with.
  void collect(Stats& stats) const;

  Loop& loop() const;
  /// A thread for work that would hold up the loop, such as decoding; ends with the client.
  asio::thread_pool& worker();
  /// Ends all requests; what was waiting gets Kind::cancelled or unavailable.
  Task<> close();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace keelson::kube
