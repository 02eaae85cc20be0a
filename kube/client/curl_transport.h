// SPDX-License-Identifier: Apache-2.0
// libcurl's multi interface on a Loop: HTTP transfers over one connection.
#pragma once

#include <curl/curl.h>

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "kube/client/transport.h"

namespace keelson::kube {

class CurlTransfer : public Transfer {
 public:
  CurlTransfer(Loop& loop, CURL* easy, TransferRequest request);
  ~CurlTransfer() override;

 private:
  friend class CurlTransport;
  static size_t on_body(char* data, size_t one, size_t count, void* user);
  static size_t on_header(char* data, size_t one, size_t count, void* user);
  void drained() override;

  Loop& loop_;
  CURLM* multi_ = nullptr;  // null: not, or no more, in it
  CURL* easy_;
  curl_slist* headers_ = nullptr;
  curl_slist* connect_to_ = nullptr;
  char message_[CURL_ERROR_SIZE] = {};
  SteadyTime* last_byte_ = nullptr;
  std::optional<Duration> retry_after_;  // of the headers that come
  bool paused_ = false;
};

/// All transfers to a cluster. HTTP/2 where the server speaks it: then all of them share one connection.
///
/// A connection whose other end has gone without a word is found by the kernel within 10 s: keep-alive probes after 3 s
/// of silence, and TCP_USER_TIMEOUT of 8 s for what is not acknowledged (tcp(7)).
class CurlTransport : public Transport {
 public:
  CurlTransport(Loop& loop, const ClusterAccess& access);
  ~CurlTransport() override;

  Result<std::shared_ptr<Transfer>> start(TransferRequest request) override;
  void abandon(const Error& error) override;
  size_t count() override;
  SteadyTime last_byte() const override { return last_byte_; }

 private:
  struct Socket;
  static int on_socket(CURL* easy, curl_socket_t fd, int what, void* user, void* socket);
  static int on_timer(CURLM* multi, long milliseconds, void* user);
  void open();
  void close();
  void arm(const std::shared_ptr<Socket>& socket);
  void act(curl_socket_t fd, int events);
  void collect();
  void finish(CurlTransfer& transfer, CURLcode code);
  void remove(CurlTransfer& transfer);
  /// Those that wait for the same connection: each would only wait as long again.
  void give_up_waiting(const CurlTransfer& failed, const Error& error);

  Loop& loop_;
  const ClusterAccess access_;
  CURLM* multi_ = nullptr;
  asio::steady_timer timer_;
  std::map<curl_socket_t, std::shared_ptr<Socket>> sockets_;
  std::map<CURL*, std::weak_ptr<CurlTransfer>> transfers_;
  SteadyTime last_byte_{};
};

}  // namespace keelson::kube
