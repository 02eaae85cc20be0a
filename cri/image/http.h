// SPDX-License-Identifier: Apache-2.0
// HTTP as a registry's client needs it: one request, its body handed on as it comes. Over libcurl.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "cri/key_pair.h"

namespace keelson::cri::image {

/// Whom to trust, and who we are.
struct Tls {
  std::string ca_pem;           ///< instead of the system's authorities, if not empty
  bool skip_verify = false;     ///< hosts.toml skip_verify
  std::vector<KeyPair> client;  ///< ours; which one is shown: client_certificates.h
};

struct HttpRequest {
  std::string url;
  std::vector<std::string> headers;  ///< "Accept: text/plain"
  std::string form;                  ///< POSTed as application/x-www-form-urlencoded; empty is GET
  Tls tls;
  std::chrono::milliseconds timeout{};          ///< on all of it, redirects too
  std::chrono::milliseconds connect_timeout{};  ///< until a connection is made, TLS too; 0: 15 s
  /// Called with each piece of the body and the status before it; an error ends the transfer and is what send()
  /// returns.
  std::function<Result<>(int status, std::string_view data)> body;
};

struct HttpResponse {
  int status = 0;
  /// WWW-Authenticate of the host that was asked. What one that it has redirected to wants is not told: our credentials
  /// are none of its affair (as CVE-2020-15157).
  std::vector<std::string> challenges;
  std::string content_digest;           ///< Docker-Content-Digest
  std::chrono::seconds retry_after{0};  ///< Retry-After in seconds; 0 if none
};

/// Error::code() of a connection that broke (or stood still for 30 s) after it was made: going on may work.
constexpr int kBroken = 1;

/// Keeps connections for the next request. Thread-safe: each request under way has a connection of its own.
class HttpClient {
 public:
  HttpClient();
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// Any status is success. Redirects are followed, from https only to https; an Authorization header stays with the
  /// first host. Kind::unavailable: not reached, or kBroken; timeout;
  /// permission: the server wants a certificate of ours, or does not accept it. The error names no URL and no header.
  Result<HttpResponse> send(const HttpRequest& request);

 private:
  std::mutex mutex_;
  std::vector<void*> idle_;  // CURL*
};

/// Percent-encoding for a query or a form.
std::string url_encode(std::string_view text);

}  // namespace keelson::cri::image
