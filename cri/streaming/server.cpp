// SPDX-License-Identifier: Apache-2.0
// server.h: the listener and its thread.
#include "cri/streaming/server.h"

#include <fcntl.h>
#include <netinet/tcp.h>

#include <thread>

#include <boost/asio/ip/tcp.hpp>

#include "common/log.h"
#include "common/loop.h"
#include "common/task_group.h"
#include "cri/streaming/session.h"
#include "cri/streaming/tokens.h"
#include "http/tls_certificate.h"

namespace keelson::cri {

namespace {

using asio::ip::tcp;

constexpr size_t kMostWaiting = 256;

class HttpServer final : public StreamingServer {
 public:
  explicit HttpServer(StreamingTimes times)
      : loop_(real_clock(), "kl-stream"),
        connections_(loop_),
        closing_(loop_),
        acceptor_(loop_.io()),
        room_{loop_, tokens_, connections_, times, waiting_} {}

  ~HttpServer() override {
    if (thread_.joinable()) {
      loop_.post([this] { closing_.spawn("close streaming", shut(this)); });
      thread_.join();
    }
  }

  Result<> listen(const StreamingOptions& options) {
    if (options.tls) {
      certificate_.emplace(http::TlsOptions{.certificate_file = options.tls->certificate,
                                            .key_file = options.tls->key,
                                            .certificate_setting = "streamTLSCertFile",
                                            .key_setting = "streamTLSKeyFile"});
      KEELSON_DO(certificate_->current());
    }
    const auto& [address, port] = std::tie(options.address, options.port);
    boost::system::error_code error;
    const auto ip = asio::ip::make_address(address, error);
    if (error) {
      return fail(Kind::invalid, "streaming address \"{}\" is not an IP address", address);
    }
    const tcp::endpoint endpoint(ip, port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) {
      acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
      acceptor_.bind(endpoint, error);
    }
    if (!error) {
      acceptor_.listen(128, error);
    }
    if (error) {
      return fail_asio(error, fmt::format("listen on {}:{}", address, port));
    }
    const auto bound = acceptor_.local_endpoint(error);
    base_ = fmt::format("http{}://{}:{}/", certificate_ ? "s" : "", ip.is_v6() ? "[" + address + "]" : address,
                        bound.port());
    connections_.spawn("accept streaming", accept(this));
    thread_ = std::thread([this] { loop_.run(); });
    return {};
  }

  Result<std::string> offer(const std::string& verb, Offer offer) override {
    KEELSON_TRY(const auto token, tokens_.put(std::move(offer), std::chrono::steady_clock::now()));
    return base_ + verb + "/" + token;
  }

 private:
  static Task<> accept(HttpServer* self) {
    while (true) {
      auto [error, socket] = co_await self->acceptor_.async_accept(use_result);
      if (error == asio::error::operation_aborted) {
        co_return fail(Kind::cancelled, "closed");
      }
      if (!error) {
        prepare(socket);
        // Anybody on the node may connect; who has no ticket must not keep those out who do.
        if (self->waiting_.size() >= kMostWaiting) {
          self->waiting_.drop_longest();
        }
        self->connections_.spawn("streaming session", serve_quietly(self->room_, self->wrap(std::move(socket))));
      } else {
        KEELSON_CO_DO(
            co_await self->loop_.sleep(std::chrono::milliseconds(100)));  // out of descriptors: let some close
      }
    }
  }

  // A client that leaves, or wants what there is not, is its own affair, and anybody can be one.
  static Task<> serve_quietly(SessionRoom room, keelson::http::Stream socket) {
    auto served = co_await serve_connection(room, std::move(socket));
    if (!served && served.error().kind() != Kind::internal) {
      log::debug("streaming session: {}", served.error().message());
      co_return Result<>();
    }
    co_return served;
  }

  // Once there was a certificate there always is one.
  keelson::http::Stream wrap(tcp::socket socket) {
    return certificate_ ? keelson::http::Stream(std::move(socket), *certificate_->current())
                        : keelson::http::Stream(std::move(socket));
  }

  static void prepare(tcp::socket& socket) {
    // Asio does not: a command that held the client's connection would keep it open after us.
    ::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
    boost::system::error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    // A client that is gone without a word is found out, as by Go's servers, within minutes and not after hours.
    socket.set_option(asio::socket_base::keep_alive(true), ignored);
    const int seconds = 15;
    ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
    ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
  }

  static Task<> shut(HttpServer* self) {
    boost::system::error_code ignored;
    self->acceptor_.close(ignored);
    KEELSON_CO_DO(co_await self->connections_.close());
    self->loop_.stop();
    co_return Result<>();
  }

  Loop loop_;
  Tokens tokens_;
  keelson::http::Waiting waiting_;
  TaskGroup connections_;
  TaskGroup closing_;
  tcp::acceptor acceptor_;
  SessionRoom room_;
  std::optional<http::TlsCertificate> certificate_;
  std::string base_;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<StreamingServer>> StreamingServer::start(const StreamingOptions& options) {
  auto server = std::make_unique<HttpServer>(options.times);
  KEELSON_DO(server->listen(options));
  return server;
}

}  // namespace keelson::cri
