// SPDX-License-Identifier: Apache-2.0
// Sockets and the timer that libcurl asks for, as Asio waits; and what a transfer's end means.
#include "kube/client/curl_transport.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>

#include <boost/asio/posix/stream_descriptor.hpp>

namespace keelson::kube {

namespace {

constexpr int kKeepAliveIdleSeconds = 3;
constexpr int kKeepAliveIntervalSeconds = 1;
constexpr unsigned kUserTimeoutMilliseconds = 8'000;
/// What a reader may lag behind before the server is made to wait.
constexpr size_t kMaxUnread = 4 << 20;
constexpr std::chrono::seconds kMaxRetryAfter{300};

CURLM* make_multi() {
  static const CURLcode once = ::curl_global_init(CURL_GLOBAL_DEFAULT);
  return once == CURLE_OK ? ::curl_multi_init() : nullptr;
}

int on_new_socket(void*, curl_socket_t fd, curlsocktype) {
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &kKeepAliveIdleSeconds, sizeof kKeepAliveIdleSeconds);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &kKeepAliveIntervalSeconds, sizeof kKeepAliveIntervalSeconds);
  ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUserTimeoutMilliseconds, sizeof kUserTimeoutMilliseconds);
  return CURL_SOCKOPT_OK;
}

curl_blob blob_of(const std::string& bytes) {
  return {.data = const_cast<char*>(bytes.data()), .len = bytes.size(), .flags = CURL_BLOB_COPY};
}

std::string url_of(const ClusterAccess& access, const TransferRequest& request) {
  return fmt::format("{}://{}{}{}", access.tls ? "https" : "http", to_string(request.server.name), access.prefix,
                     request.path);
}

void set_tls(CURL* easy, const ClusterAccess& access, const Credential& credential) {
  ::curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, access.verify ? 1L : 0L);
  ::curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, access.verify ? 2L : 0L);
  if (!access.ca_pem.empty()) {
    curl_blob blob = blob_of(access.ca_pem);
    ::curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
    ::curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
  }
  if (!credential.certificate_pem.empty()) {
    curl_blob certificate = blob_of(credential.certificate_pem);
    curl_blob key = blob_of(credential.key_pem);
    ::curl_easy_setopt(easy, CURLOPT_SSLCERT_BLOB, &certificate);
    ::curl_easy_setopt(easy, CURLOPT_SSLKEY_BLOB, &key);
  }
}

void add_header(curl_slist*& list, const std::string& line) {
  list = ::curl_slist_append(list, line.c_str());
}

}  // namespace

// ---- Transfer

CurlTransfer::CurlTransfer(Loop& loop, CURL* easy, TransferRequest request)
    : Transfer(loop, std::move(request)), loop_(loop), easy_(easy) {}

CurlTransfer::~CurlTransfer() {
  if (multi_ != nullptr) {
    ::curl_multi_remove_handle(multi_, easy_);
  }
  ::curl_easy_cleanup(easy_);
  ::curl_slist_free_all(headers_);
  ::curl_slist_free_all(connect_to_);
}

void CurlTransfer::drained() {
  if (std::exchange(paused_, false) && multi_ != nullptr) {
    ::curl_easy_pause(easy_, CURLPAUSE_CONT);
  }
}

size_t CurlTransfer::on_body(char* data, size_t one, size_t count, void* user) {
  auto& transfer = *static_cast<CurlTransfer*>(user);
  const size_t size = one * count;
  *transfer.last_byte_ = transfer.loop_.clock().steady();
  if (transfer.unread() + size > kMaxUnread) {
    transfer.paused_ = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  transfer.arrived({data, size});
  return size;
}

size_t CurlTransfer::on_header(char* data, size_t one, size_t count, void* user) {
  auto& transfer = *static_cast<CurlTransfer*>(user);
  std::string_view line(data, one * count);
  *transfer.last_byte_ = transfer.loop_.clock().steady();
  if (line.starts_with("HTTP/")) {
    transfer.retry_after_.reset();
  } else if (line == "\r\n" || line == "\n") {
    long status = 0;
    ::curl_easy_getinfo(transfer.easy_, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200) {
      transfer.answered(static_cast<int>(status), transfer.retry_after_);
    }
  } else if (constexpr std::string_view kName = "retry-after:";
             line.size() > kName.size() && ::strncasecmp(line.data(), kName.data(), kName.size()) == 0) {
    line.remove_prefix(std::min(line.find_first_not_of(' ', kName.size()), line.size()));
    int seconds = 0;
    if (std::from_chars(line.data(), line.data() + line.size(), seconds).ec == std::errc() && seconds >= 0) {
      transfer.retry_after_ = std::min<Duration>(std::chrono::seconds(seconds), kMaxRetryAfter);
    }
  }
  return one * count;
}

// ---- Transport

struct CurlTransport::Socket {
  Socket(asio::io_context& io, curl_socket_t fd) : descriptor(io, fd) {}
  asio::posix::stream_descriptor descriptor;
  int wanted = 0;  // CURL_POLL_*
  bool reading = false;
  bool writing = false;
  bool removed = false;
};

CurlTransport::CurlTransport(Loop& loop, const ClusterAccess& access)
    : loop_(loop), access_(access), timer_(loop.io()) {
  open();
}

CurlTransport::~CurlTransport() {
  abandon(Error(Kind::cancelled, "the client is closed"));
  close();
}

void CurlTransport::open() {
  multi_ = make_multi();
  if (multi_ == nullptr) {
    return;
  }
  ::curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &CurlTransport::on_socket);
  ::curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  ::curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &CurlTransport::on_timer);
  ::curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  ::curl_multi_setopt(multi_, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
}

void CurlTransport::close() {
  if (multi_ != nullptr) {
    ::curl_multi_cleanup(multi_);
    multi_ = nullptr;
  }
  timer_.cancel();
  for (auto& [fd, socket] : sockets_) {
    socket->removed = true;
    socket->descriptor.release();
  }
  sockets_.clear();
}

void CurlTransport::abandon(const Error& error) {
  for (auto& [easy, weak] : std::exchange(transfers_, {})) {
    if (auto transfer = weak.lock()) {
      remove(*transfer);
      transfer->finish(error);
    }
  }
  close();
  open();
}

Result<std::shared_ptr<Transfer>> CurlTransport::start(TransferRequest request) {
  CURL* easy = multi_ != nullptr ? ::curl_easy_init() : nullptr;
  if (easy == nullptr) {
    return fail(Kind::exhausted, "libcurl has no memory");
  }
  auto transfer = std::make_shared<CurlTransfer>(loop_, easy, std::move(request));
  transfer->last_byte_ = &last_byte_;
  const TransferRequest& asked = transfer->request();
  const auto url = url_of(access_, asked);
  ::curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  ::curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, access_.tls ? "https" : "http");
  ::curl_easy_setopt(easy, CURLOPT_PROXY, "");
  ::curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  ::curl_easy_setopt(easy, CURLOPT_USERAGENT, "keelson");
  ::curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS);
  // Without TLS there is no HTTP/2 to wait for, and libcurl would wait behind a watch for ever.
  ::curl_easy_setopt(easy, CURLOPT_PIPEWAIT, access_.tls ? 1L : 0L);
  ::curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(asked.connect_deadline.count()));
  ::curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, &on_new_socket);
  ::curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 128L << 10);
  ::curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->message_);
  ::curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &CurlTransfer::on_body);
  ::curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer.get());
  ::curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &CurlTransfer::on_header);
  ::curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer.get());
  ::curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, asked.method.c_str());
  if (asked.server.address) {
    const auto to = fmt::format("::{}", to_string(*asked.server.address));
    transfer->connect_to_ = ::curl_slist_append(nullptr, to.c_str());
    ::curl_easy_setopt(easy, CURLOPT_CONNECT_TO, transfer->connect_to_);
  }
  set_tls(easy, access_, asked.credential);
  add_header(transfer->headers_, "Accept: application/json");
  if (!asked.credential.token.empty() && access_.tls) {
    add_header(transfer->headers_, "Authorization: Bearer " + asked.credential.token);
  }
  if (!asked.body.empty()) {
    add_header(transfer->headers_, "Content-Type: " + asked.content_type);
    ::curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(asked.body.size()));
    ::curl_easy_setopt(easy, CURLOPT_POSTFIELDS, asked.body.data());
  }
  ::curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers_);
  if (const CURLMcode code = ::curl_multi_add_handle(multi_, easy); code != CURLM_OK) {
    return fail(Kind::internal, "libcurl: {}", ::curl_multi_strerror(code));
  }
  transfer->multi_ = multi_;
  count();  // forgets those that are gone, one of which may have had this handle's address
  transfers_.emplace(easy, transfer);
  return transfer;
}

size_t CurlTransport::count() {
  std::erase_if(transfers_, [](const auto& entry) { return entry.second.expired(); });
  return transfers_.size();
}

int CurlTransport::on_socket(CURL*, curl_socket_t fd, int what, void* user, void*) {
  auto& self = *static_cast<CurlTransport*>(user);
  auto it = self.sockets_.find(fd);
  if (what == CURL_POLL_REMOVE) {
    if (it != self.sockets_.end()) {
      it->second->removed = true;
      it->second->descriptor.release();  // libcurl closes it
      self.sockets_.erase(it);
    }
    return 0;
  }
  if (it == self.sockets_.end()) {
    it = self.sockets_.emplace(fd, std::make_shared<Socket>(self.loop_.io(), fd)).first;
  }
  it->second->wanted = what;
  self.arm(it->second);
  return 0;
}

void CurlTransport::arm(const std::shared_ptr<Socket>& socket) {
  const auto wait = [this, &socket](asio::posix::stream_descriptor::wait_type type, bool& waiting, int event) {
    waiting = true;
    socket->descriptor.async_wait(type, [this, socket, &waiting, event](const boost::system::error_code& error) {
      waiting = false;
      if (socket->removed || error == asio::error::operation_aborted) {
        return;
      }
      act(socket->descriptor.native_handle(), error ? CURL_CSELECT_ERR : event);
      if (!socket->removed) {
        arm(socket);
      }
    });
  };
  if ((socket->wanted & CURL_POLL_IN) != 0 && !socket->reading) {
    wait(asio::posix::stream_descriptor::wait_read, socket->reading, CURL_CSELECT_IN);
  }
  if ((socket->wanted & CURL_POLL_OUT) != 0 && !socket->writing) {
    wait(asio::posix::stream_descriptor::wait_write, socket->writing, CURL_CSELECT_OUT);
  }
}

int CurlTransport::on_timer(CURLM*, long milliseconds, void* user) {
  auto& self = *static_cast<CurlTransport*>(user);
  if (milliseconds < 0) {
    self.timer_.cancel();
    return 0;
  }
  self.timer_.expires_after(std::chrono::milliseconds(milliseconds));
  self.timer_.async_wait([&self](const boost::system::error_code& error) {
    if (!error) {
      self.act(CURL_SOCKET_TIMEOUT, 0);
    }
  });
  return 0;
}

void CurlTransport::act(curl_socket_t fd, int events) {
  int running = 0;
  ::curl_multi_socket_action(multi_, fd, events, &running);
  collect();
}

void CurlTransport::collect() {
  int left = 0;
  while (const CURLMsg* message = ::curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) {
      continue;
    }
    CURL* easy = message->easy_handle;
    const CURLcode code = message->data.result;
    const auto it = transfers_.find(easy);
    if (it == transfers_.end()) {
      continue;
    }
    auto transfer = it->second.lock();
    transfers_.erase(it);
    if (transfer) {
      finish(*transfer, code);
    }
  }
}

void CurlTransport::remove(CurlTransfer& transfer) {
  ::curl_multi_remove_handle(multi_, transfer.easy_);
  transfer.multi_ = nullptr;
}

void CurlTransport::give_up_waiting(const CurlTransfer& failed, const Error& error) {
  for (auto it = transfers_.begin(); it != transfers_.end();) {
    auto transfer = it->second.lock();
    if (transfer && !transfer->has_status() && transfer->request().server == failed.request().server) {
      remove(*transfer);
      transfer->finish(error, true);
      it = transfers_.erase(it);
    } else {
      ++it;
    }
  }
}

void CurlTransport::finish(CurlTransfer& transfer, CURLcode code) {
  curl_off_t connected = 0;
  ::curl_easy_getinfo(transfer.easy_, CURLINFO_PRETRANSFER_TIME_T, &connected);
  const Server& server = transfer.request().server;
  const auto where = to_string(server.address.value_or(server.name));
  const std::string text = transfer.message_[0] != '\0' ? transfer.message_ : ::curl_easy_strerror(code);
  remove(transfer);
  if (code == CURLE_OK) {
    return transfer.finish(std::nullopt);
  }
  const Kind kind = code == CURLE_OPERATION_TIMEDOUT ? Kind::timeout : Kind::unavailable;
  const Error error(kind, fmt::format("{}: {}", where, text));
  transfer.finish(error, connected == 0);
  if (connected == 0) {
    give_up_waiting(transfer, error);
  }
}

}  // namespace keelson::kube
