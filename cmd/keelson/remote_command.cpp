// SPDX-License-Identifier: Apache-2.0
// Streams over a WebSocket: channel byte 0 stdin, 1 stdout, 2 stderr, 3 the exit status, 4 the window size.
#include "cmd/keelson/remote_command.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>

#include <algorithm>
#include <csignal>
#include <optional>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/json/parse.hpp>
#include <boost/url/parse.hpp>

#include "cmd/keelson/output.h"
#include "common/fd.h"

namespace keelson::cli {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;

constexpr char kStdin = 0;
constexpr char kStdout = 1;
constexpr char kStderr = 2;
constexpr char kStatus = 3;
constexpr char kResize = 4;
constexpr char kClose = static_cast<char>(255);

/// Our terminal in raw mode; put back on destruction.
class RawTerminal {
 public:
  RawTerminal() {
    if (::tcgetattr(STDIN_FILENO, &before_) == 0) {
      termios raw = before_;
      ::cfmakeraw(&raw);
      changed_ = ::tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
    }
  }
  ~RawTerminal() {
    if (changed_) {
      ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
    }
  }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

 private:
  termios before_{};
  bool changed_ = false;
};

Result<asio::ip::tcp::endpoint> endpoint_of(const boost::urls::url_view& url) {
  boost::system::error_code error;
  auto address = asio::ip::make_address(std::string(url.host_address()), error);
  if (error) {
    return fail(Kind::internal, "the runtime's streaming address '{}' names no IP address", std::string(url.buffer()));
  }
  return asio::ip::tcp::endpoint(address, url.port_number());
}

Result<> connect(asio::ip::tcp::socket& socket, const boost::urls::url_view& url) {
  KEELSON_TRY(const auto to, endpoint_of(url));
  boost::system::error_code error;
  socket.connect(to, error);
  if (error) {
    return fail(Kind::unavailable, "connect to the runtime's streaming server {}: {}", std::string(url.buffer()),
                error.message());
  }
  socket.set_option(asio::ip::tcp::no_delay(true));
  return {};
}

/// Whom an https URL must be: what the system believes, with the URL's address in it. On loopback anybody, as over
/// http: the certificate there is the node's own affair.
Result<> shake_hands(asio::ssl::stream<asio::ip::tcp::socket>& stream, const boost::urls::url_view& url) {
  const std::string address(url.host_address());
  boost::system::error_code error;
  if (!stream.next_layer().remote_endpoint(error).address().is_loopback()) {
    stream.set_verify_mode(asio::ssl::verify_peer);
    stream.set_verify_callback(asio::ssl::host_name_verification(address));
  }
  stream.handshake(asio::ssl::stream_base::client, error);
  if (error) {
    return fail(Kind::unavailable, "TLS with the runtime's streaming server {}: {}", address, error.message());
  }
  return {};
}

/// The exit code that a metav1.Status tells (KEP-4006 error channel).
Result<int> exit_code(const std::string& text) {
  boost::system::error_code error;
  auto status = boost::json::parse(text, error);
  if (error) {
    return fail(Kind::internal, "{}", text);
  }
  if (text_at(status, {"status"}) == "Success") {
    return 0;
  }
  if (text_at(status, {"reason"}) == "NonZeroExitCode") {
    for (const auto& cause : list_at(status, {"details", "causes"})) {
      if (text_at(cause, {"reason"}) == "ExitCode") {
        return std::atoi(text_at(cause, {"message"}).c_str());
      }
    }
  }
  return fail(Kind::internal, "{}", text_at(status, {"message"}, text));
}

template <class Stream>
class Exchange {
 public:
  Exchange(asio::io_context& io, beast::websocket::stream<Stream>& socket, RemoteStreams streams)
      : io_(io), socket_(socket), streams_(streams), reading_(streams.input) {}

  Result<> open(const boost::urls::url_view& url) {
    socket_.set_option(beast::websocket::stream_base::decorator([](beast::websocket::request_type& request) {
      request.set(beast::http::field::sec_websocket_protocol, "v5.channel.k8s.io, v4.channel.k8s.io");
    }));
    socket_.binary(true);
    boost::system::error_code error;
    socket_.handshake(std::string(url.encoded_host_and_port()), std::string(url.encoded_resource()), error);
    if (error) {
      return fail(Kind::unavailable, "open the stream {}: {}", std::string(url.buffer()), error.message());
    }
    return {};
  }

  /// `window_signals` is readable when the terminal's size has changed; -1: never.
  Result<int> run(int window_signals) {
    read_next();
    if (streams_.tty) {
      KEELSON_DO(send_window());
    }
    while (io_.poll(), !ending_) {
      pollfd fds[3] = {{beast::get_lowest_layer(socket_).native_handle(), POLLIN, 0},
                       {reading_ ? STDIN_FILENO : -1, POLLIN, 0},
                       {window_signals, POLLIN, 0}};
      if (::poll(fds, 3, -1) < 0 && errno != EINTR) {
        return fail_errno(errno, "wait for the stream");
      }
      if (fds[1].revents != 0) {
        KEELSON_DO(pass_input());
      }
      signalfd_siginfo info{};
      if (fds[2].revents != 0 && ::read(window_signals, &info, sizeof info) > 0) {
        KEELSON_DO(send_window());
      }
    }
    return *ending_;
  }

 private:
  Result<> pass_input() {
    char data[16384];
    ssize_t n = ::read(STDIN_FILENO, data, sizeof data);
    if (n > 0) {
      return send(kStdin, {data, static_cast<size_t>(n)});
    }
    reading_ = false;
    return send(kClose, std::string(1, kStdin));
  }

  Result<> send_window() {
    winsize size{};
    if (::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0) {
      return {};
    }
    return send(kResize, fmt::format(R"({{"Width":{},"Height":{}}})", size.ws_col, size.ws_row));
  }

  // Frames are taken meanwhile: the other end may read on only when we do.
  Result<> send(char channel, std::string_view data) {
    std::string frame(1, channel);
    frame += data;
    std::optional<boost::system::error_code> done;
    socket_.async_write(asio::buffer(frame), [&done](boost::system::error_code error, size_t) { done = error; });
    while (!done) {
      io_.run_one();
    }
    if (*done && !ending_) {
      return fail(Kind::unavailable, "write to the stream: {}", done->message());
    }
    return {};
  }

  void read_next() {
    socket_.async_read(buffer_, [this](boost::system::error_code error, size_t) {
      if (error) {
        ending_ = fail(Kind::unavailable, "the stream ended without an exit status: {}", error.message());
        return;
      }
      auto taken = take({static_cast<const char*>(buffer_.data().data()), buffer_.size()});
      buffer_.clear();
      if (!taken) {
        ending_ = std::unexpected(std::move(taken).error());
      } else if (!ending_) {
        read_next();
      }
    });
  }

  Result<> take(std::string_view frame) {
    const auto data = frame.substr(std::min<size_t>(frame.size(), 1));
    if (frame.starts_with(kStdout)) {
      KEELSON_DO(write_all(STDOUT_FILENO, data));
    } else if (frame.starts_with(kStderr)) {
      KEELSON_DO(write_all(STDERR_FILENO, data));
    } else if (frame.starts_with(kStatus)) {
      ending_ = exit_code(std::string(data));
    }
    return {};
  }

  asio::io_context& io_;
  beast::websocket::stream<Stream>& socket_;
  RemoteStreams streams_;
  bool reading_;
  beast::flat_buffer buffer_;
  std::optional<Result<int>> ending_;
};

/// From the open connection on.
template <class Stream>
Result<int> exchange(asio::io_context& io, beast::websocket::stream<Stream>& socket, const boost::urls::url_view& url,
                     RemoteStreams streams) {
  Exchange<Stream> exchange(io, socket, streams);
  KEELSON_DO(exchange.open(url));
  std::optional<RawTerminal> terminal;
  Fd signals;
  if (streams.tty && streams.input) {
    terminal.emplace();
    sigset_t window;
    ::sigemptyset(&window);
    ::sigaddset(&window, SIGWINCH);
    ::sigprocmask(SIG_BLOCK, &window, nullptr);
    signals = Fd(::signalfd(-1, &window, SFD_CLOEXEC));
  }
  return exchange.run(signals.get());
}

}  // namespace

Result<int> run_remote(const std::string& text, RemoteStreams streams) {
  const auto url = boost::urls::parse_uri(text);
  if (!url) {
    return fail(Kind::internal, "the runtime's streaming address '{}' is not a URL", text);
  }
  asio::io_context io;
  if (url->scheme() != "https") {
    beast::websocket::stream<asio::ip::tcp::socket> socket(io);
    KEELSON_DO(connect(socket.next_layer(), *url));
    return exchange(io, socket, *url, streams);
  }
  asio::ssl::context trust(asio::ssl::context::tls_client);
  boost::system::error_code ignored;
  trust.set_default_verify_paths(ignored);
  beast::websocket::stream<asio::ssl::stream<asio::ip::tcp::socket>> socket(io, trust);
  KEELSON_DO(connect(socket.next_layer().next_layer(), *url));
  KEELSON_DO(shake_hands(socket.next_layer(), *url));
  return exchange(io, socket, *url, streams);
}

}  // namespace keelson::cli
