// SPDX-License-Identifier: Apache-2.0
// libcurl's multi interface on a Loop: HTTP transfers whose bodies are read by coroutines, over one connection.
#pragma once

#include <curl/curl.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>

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

/// One request and what comes back. Cancelled when destroyed. On the loop's thread.
class Transfer {
 public:
  Transfer(Loop& loop, CURLM* multi, CURL* easy);
  ~Transfer();
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
  const Server& server() const { return request_.server; }

 private:
  friend class Transport;
  static size_t on_body(char* data, size_t one, size_t count, void* user);
  static size_t on_header(char* data, size_t one, size_t count, void* user);
  void finish(std::optional<Error> error);
  void notify();
  Task<> wait();

  Loop& loop_;
  CURLM* multi_;  // null: no more in it
  CURL* easy_;
  TransferRequest request_;
  curl_slist* headers_ = nullptr;
  curl_slist* connect_to_ = nullptr;
  char message_[CURL_ERROR_SIZE] = {};
  SteadyTime* last_byte_ = nullptr;
  asio::steady_timer changed_;  // never due: its waits end when something has changed
  size_t notices_ = 0;
  std::string body_;
  int status_ = 0;
  std::optional<Duration> retry_after_;
  bool headers_ended_ = false;
  bool paused_ = false;
  bool finished_ = false;
  bool no_connection_ = false;
  std::optional<Error> error_;
};

/// All transfers to a cluster. HTTP/2 where the server speaks it: then all of them share one connection.
///
/// A connection whose other end has gone without a word is found by the kernel within 10 s: keep-alive probes after 3 s
/// of silence, and TCP_USER_TIMEOUT of 8 s for what is not acknowledged (tcp(7)).
class Transport {
 public:
  Transport(Loop& loop, const ClusterAccess& access);
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  Result<std::shared_ptr<Transfer>> start(TransferRequest request);
  /// Ends all transfers with `error` and closes the connection.
  void abandon(const Error& error);
  /// Transfers that have not ended.
  size_t count();
  /// When something last arrived.
  SteadyTime last_byte() const { return last_byte_; }

 private:
  struct Socket;
  static int on_socket(CURL* easy, curl_socket_t fd, int what, void* user, void* socket);
  static int on_timer(CURLM* multi, long milliseconds, void* user);
  void open();
  void close();
  void arm(const std::shared_ptr<Socket>& socket);
  void act(curl_socket_t fd, int events);
  void collect();
  void finish(Transfer& transfer, CURLcode code);
  void remove(Transfer& transfer);
  /// Those that wait for the same connection: each would only wait as long again.
  void give_up_waiting(const Transfer& failed);

  Loop& loop_;
  const ClusterAccess access_;
  CURLM* multi_ = nullptr;
  asio::steady_timer timer_;
  std::map<curl_socket_t, std::shared_ptr<Socket>> sockets_;
  std::map<CURL*, std::weak_ptr<Transfer>> transfers_;
  SteadyTime last_byte_{};
};

}  // namespace keelson::kube
