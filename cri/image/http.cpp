// SPDX-License-Identifier: Apache-2.0
// libcurl's easy handles, one a request.
#include "cri/image/http.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <strings.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>

#include "cri/image/client_certificates.h"

namespace keelson::cri::image {

namespace {

constexpr std::chrono::milliseconds kConnectTime{15'000};
constexpr long kStallSeconds = 30;
constexpr long kMaxRedirects = 5;
constexpr std::chrono::seconds kMaxRetryAfter{3600};

/// What the callbacks of one transfer share.
struct Transfer {
  CURL* handle;
  const HttpRequest& request;
  HttpResponse response;
  std::optional<Error> error;
};

/// "https://host:port" of a URL.
std::string_view origin_of(std::string_view url) {
  const auto scheme = url.find("://");
  return url.substr(0, scheme == url.npos ? 0 : url.find_first_of("/?#", scheme + 3));
}

size_t on_body(char* data, size_t one, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  long status = 0;
  ::curl_easy_getinfo(transfer.handle, CURLINFO_RESPONSE_CODE, &status);
  if (transfer.request.body) {
    if (auto taken = transfer.request.body(static_cast<int>(status), {data, one * count}); !taken) {
      transfer.error = std::move(taken).error();
      return 0;
    }
  }
  return one * count;
}

size_t on_header(char* data, size_t one, size_t count, void* user) {
  auto& response = static_cast<Transfer*>(user)->response;
  std::string_view line(data, one * count);
  if (line.starts_with("HTTP/")) {
    response = {};  // of a redirect's target, not of the redirect
    return line.size();
  }
  auto colon = line.find(':');
  if (colon == std::string_view::npos) {
    return line.size();
  }
  auto value = line.substr(colon + 1);
  while (!value.empty() && (value.back() == '\r' || value.back() == '\n' || value.back() == ' ')) {
    value.remove_suffix(1);
  }
  value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
  auto is = [&](std::string_view name) { return name.size() == colon && ::strncasecmp(data, name.data(), colon) == 0; };
  if (is("WWW-Authenticate")) {
    response.challenges.emplace_back(value);
  } else if (is("Docker-Content-Digest")) {
    response.content_digest = value;
  } else if (is("Retry-After")) {
    int seconds = 0;
    std::from_chars(value.data(), value.data() + value.size(), seconds);
    response.retry_after = std::clamp(std::chrono::seconds(seconds), std::chrono::seconds(0), kMaxRetryAfter);
  }
  return one * count;
}

CURLcode on_ssl_context(CURL*, void* context, void* pairs) {
  offer_certificates(static_cast<SSL_CTX*>(context), *static_cast<const std::vector<KeyPair>*>(pairs));
  return CURLE_OK;
}

void set_options(CURL* handle, const HttpRequest& request, curl_slist* headers, Transfer& transfer, char* message) {
  bool https = request.url.starts_with("https:");
  ::curl_easy_setopt(handle, CURLOPT_URL, request.url.c_str());
  ::curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, https ? "https" : "http,https");
  ::curl_easy_setopt(handle, CURLOPT_REDIR_PROTOCOLS_STR, https ? "https" : "http,https");
  ::curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 1L);
  ::curl_easy_setopt(handle, CURLOPT_MAXREDIRS, kMaxRedirects);
  ::curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
  ::curl_easy_setopt(handle, CURLOPT_USERAGENT, "keelson");
  ::curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  const auto connect = request.connect_timeout.count() == 0 ? kConnectTime : request.connect_timeout;
  ::curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(connect.count()));
  ::curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
  ::curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
  ::curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, kStallSeconds);
  ::curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, 256L << 10);
  ::curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &on_body);
  ::curl_easy_setopt(handle, CURLOPT_WRITEDATA, &transfer);
  ::curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, &on_header);
  ::curl_easy_setopt(handle, CURLOPT_HEADERDATA, &transfer);
  ::curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, message);
  if (!request.form.empty()) {
    ::curl_easy_setopt(handle, CURLOPT_COPYPOSTFIELDS, request.form.c_str());
  }
  if (request.tls.skip_verify) {
    ::curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, 0L);
    ::curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  if (!request.tls.client.empty()) {
    ::curl_easy_setopt(handle, CURLOPT_SSL_CTX_FUNCTION, &on_ssl_context);
    ::curl_easy_setopt(handle, CURLOPT_SSL_CTX_DATA, &request.tls.client);
  }
  if (!request.tls.ca_pem.empty()) {
    curl_blob blob{.data = const_cast<char*>(request.tls.ca_pem.data()),
                   .len = request.tls.ca_pem.size(),
                   .flags = CURL_BLOB_COPY};
    ::curl_easy_setopt(handle, CURLOPT_CAINFO_BLOB, &blob);
  }
}

/// What the server's TLS alert says about our certificate; empty if it is about something else (RFC 8446 section 6.2).
const char* certificate_trouble(std::string_view message) {
  const auto has = [&](std::string_view alert) { return message.find(alert) != std::string_view::npos; };
  if (has("alert certificate required") || has("alert handshake failure")) {
    return "the server may want a client certificate: name one that it knows by `client` in hosts.toml";
  }
  const bool refused = has("alert bad certificate") || has("alert unknown ca") || has("alert certificate unknown") ||
                       has("alert certificate expired") || has("alert certificate revoked") ||
                       has("alert unsupported certificate") || has("alert access denied") || has("alert decrypt error");
  return refused ? "the server refuses the client certificate that hosts.toml names" : "";
}

Error error_of(CURL* handle, CURLcode code, const char* message, std::chrono::milliseconds timeout) {
  curl_off_t connected = 0;
  curl_off_t total = 0;
  ::curl_easy_getinfo(handle, CURLINFO_PRETRANSFER_TIME_T, &connected);
  ::curl_easy_getinfo(handle, CURLINFO_TOTAL_TIME_T, &total);
  if (code == CURLE_OPERATION_TIMEDOUT && std::chrono::microseconds(total) >= timeout) {
    return {Kind::timeout, "no answer in time"};
  }
  if (const std::string trouble = certificate_trouble(message); !trouble.empty()) {
    return {Kind::permission, fmt::format("{} ({})", trouble, message)};
  }
  bool broken = code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR || code == CURLE_GOT_NOTHING ||
                code == CURLE_PARTIAL_FILE || code == CURLE_HTTP2 || code == CURLE_HTTP2_STREAM ||
                (code == CURLE_OPERATION_TIMEDOUT && connected > 0);
  return {Kind::unavailable, message[0] != '\0' ? message : ::curl_easy_strerror(code), broken ? kBroken : 0};
}

}  // namespace

HttpClient::HttpClient() {
  static const CURLcode once = ::curl_global_init(CURL_GLOBAL_DEFAULT);
  static_cast<void>(once);
}

HttpClient::~HttpClient() {
  for (auto* handle : idle_) {
    ::curl_easy_cleanup(handle);
  }
}

Result<HttpResponse> HttpClient::send(const HttpRequest& request) {
  CURL* handle = nullptr;
  {
    std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      handle = idle_.back();
      idle_.pop_back();
    }
  }
  if (handle == nullptr && (handle = ::curl_easy_init()) == nullptr) {
    return fail(Kind::exhausted, "libcurl has no memory");
  }
  std::unique_ptr<curl_slist, decltype([](curl_slist* list) { ::curl_slist_free_all(list); })> headers;
  for (const auto& header : request.headers) {
    headers.reset(::curl_slist_append(headers.release(), header.c_str()));
  }
  char message[CURL_ERROR_SIZE] = "";
  Transfer transfer{.handle = handle, .request = request, .response = {}, .error = {}};
  set_options(handle, request, headers.get(), transfer, message);
  auto code = ::curl_easy_perform(handle);
  long status = 0;
  ::curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  transfer.response.status = static_cast<int>(status);
  const char* last = nullptr;
  ::curl_easy_getinfo(handle, CURLINFO_EFFECTIVE_URL, &last);
  if (last == nullptr || origin_of(last) != origin_of(request.url)) {
    transfer.response.challenges.clear();
  }
  Result<HttpResponse> out = transfer.response;
  if (transfer.error) {
    out = std::unexpected(*std::move(transfer.error));
  } else if (code != CURLE_OK) {
    out = std::unexpected(error_of(handle, code, message, request.timeout));
  }
  ::curl_easy_reset(handle);
  std::lock_guard lock(mutex_);
  idle_.push_back(handle);
  return out;
}

std::string url_encode(std::string_view text) {
  constexpr std::string_view kPlain = "-._~";
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (unsigned char c : text) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 kPlain.find(static_cast<char>(c)) != std::string_view::npos;
    if (plain) {
      out += static_cast<char>(c);
    } else {
      out += '%';
      out += kDigits[c >> 4];
      out += kDigits[c & 15];
    }
  }
  return out;
}

}  // namespace keelson::cri::image
