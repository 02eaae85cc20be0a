// SPDX-License-Identifier: Apache-2.0
// How requests reach a server, and what comes back: the wire, as the client sees it.
//
// The client's own wire is curl_transport.h. A test or a simulation has another, on its loop's clock, which loses,
// delays and refuses at will; all that the client makes of that is the real thing.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "common/loop.h"
#include "kube/client/credentials.h"
#include "kube/client/kubeconfig.h"

namespace keelson::kube {

/// One of the servers of a cluster.
struct Server {
  ServerAddress name;                    ///< Goes into the URL; its host is what the certificate must name.
  std::optional<ServerAddress> address;  ///< Where to connect; not given: to `name`.
  bool operator==(const Server&) const = default;
};

struct TransferRequest {
  std::string method;
  std::string path;  ///< With the query, percent-encoded.
  std::string body;
  std::string content_type;
  Server server;
  Credential credential;
  std::chrono::milliseconds connect_deadline{5'000};
};

/// One request and what comes back: who has the wire fills it in (the protected calls), a coroutine reads it. Cancelled
/// when destroyed. On the loop's thread.
class Transfer {
 public:
  Transfer(Loop& loop, TransferRequest request);
  virtual ~Transfer() = default;
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  /// Ends when the status is known; Kind::unavailable or timeout when there will be none.
  Task<> headers();
  /// The next part of the body, as much as is there; empty: its end. An error when it is cut short.
  Task<std::string> read();

  int status() const { return status_; }
  std::optional<Duration> retry_after() const { return retry_after_; }
  /// No connection came about: another server is worth a try, and so is waiting for none of those asked of this one.
  bool no_connection() const { return no_connection_; }
  const TransferRequest& request() const { return request_; }

 protected:
  /// The status is known.
  void answered(int status, std::optional<Duration> retry_after);
  /// More of the body.
  void arrived(std::string_view bytes);
  /// Nothing more comes: the body has ended, or `error` has cut it short, or came instead of an answer.
  void finish(std::optional<Error> error, bool no_connection = false);
  bool has_status() const { return status_ != 0; }
  size_t unread() const { return body_.size(); }

 private:
  /// Somebody has read all that was there.
  virtual void drained() = 0;
  void notify();
  Task<> wait();

  const TransferRequest request_;
  asio::steady_timer changed_;  // never due: its waits end when something has changed
  size_t notices_ = 0;
  std::string body_;
  int status_ = 0;
  std::optional<Duration> retry_after_;
  bool finished_ = false;
  bool no_connection_ = false;
  std::optional<Error> error_;
};

/// All transfers of a client. On the loop's thread.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual Result<std::shared_ptr<Transfer>> start(TransferRequest request) = 0;
  /// Ends all transfers with `error` and closes the connection.
  virtual void abandon(const Error& error) = 0;
  /// Transfers that have not ended.
  virtual size_t count() = 0;
  /// When something last arrived.
  virtual SteadyTime last_byte() const = 0;
};

}  // namespace keelson::kube
