// SPDX-License-Identifier: Apache-2.0
// Streams over a WebSocket: channel byte 0 stdin, 1 stdout, 2 stderr, 3 the exit status, 4 the window size.
#include "cmd/keelson/remote_command.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>

#include <csignal>
#include <optional>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/json/parse.hpp>
#include <boost/url/parse.hpp>

#include "cmd/keelson/output.h"
#include "common/fd.h"

namespace keelson::cli {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using Socket = beast::websocket::stream<asio::ip::tcp::socket>;

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

Result<> connect(asio::io_context& io, Socket& socket, const std::string& text) {
  auto url = boost::urls::parse_uri(text);
  if (!url) {
    return fail(Kind::internal, "the runtime's streaming address '{}' is not a URL", text);
  }
  boost::system::error_code error;
  auto address = asio::ip::make_address(std::string(url->host_address()), error);
  if (error) {
    return fail(Kind::internal, "the runtime's streaming address '{}' names no IP address", text);
  }
  socket.next_layer().connect({address, url->port_number()}, error);
  if (error) {
    return fail(Kind::unavailable, "connect to the runtime's streaming server {}: {}", text, error.message());
  }
  socket.next_layer().set_option(asio::ip::tcp::no_delay(true));
  socket.set_option(beast::websocket::stream_base::decorator([](beast::websocket::request_type& request) {
    request.set(beast::http::field::sec_websocket_protocol, "v5.channel.k8s.io, v4.channel.k8s.io");
  }));
  socket.binary(true);
  socket.handshake(std::string(url->encoded_host_and_port()), std::string(url->encoded_resource()), error);
  if (error) {
    return fail(Kind::unavailable, "open the stream {}: {}", text, error.message());
  }
  (void)io;
  return {};
}

Result<> send(Socket& socket, char channel, std::string_view data) {
  std::string frame(1, channel);
  frame += data;
  boost::system::error_code error;
  socket.write(asio::buffer(frame), error);
  if (error) {
    return fail(Kind::unavailable, "write to the stream: {}", error.message());
  }
  return {};
}

Result<> send_window(Socket& socket) {
  winsize size{};
  if (::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0) {
    return {};
  }
  return send(socket, kResize, fmt::format(R"({{"Width":{},"Height":{}}})", size.ws_col, size.ws_row));
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

class Exchange {
 public:
  Exchange(Socket& socket, RemoteStreams streams, int window_signals)
      : socket_(socket), streams_(streams), signals_(window_signals), reading_(streams.input) {}

  Result<int> run() {
    if (streams_.tty) {
      KEELSON_DO(send_window(socket_));
    }
    while (!code_) {
      pollfd fds[3] = {{socket_.next_layer().native_handle(), POLLIN, 0},
                       {reading_ ? STDIN_FILENO : -1, POLLIN, 0},
                       {streams_.tty ? signals_ : -1, POLLIN, 0}};
      if (::poll(fds, 3, -1) < 0 && errno != EINTR) {
        return fail_errno(errno, "wait for the stream");
      }
      if (fds[1].revents != 0) {
        KEELSON_DO(pass_input());
      }
      if (fds[2].revents != 0) {
        signalfd_siginfo info{};
        if (::read(signals_, &info, sizeof info) > 0) {
          KEELSON_DO(send_window(socket_));
        }
      }
      if (fds[0].revents != 0) {
        KEELSON_DO(read_frame());
      }
    }
    return *code_;
  }

 private:
  Result<> pass_input() {
    char data[16384];
    ssize_t n = ::read(STDIN_FILENO, data, sizeof data);
    if (n > 0) {
      return send(socket_, kStdin, {data, static_cast<size_t>(n)});
    }
    reading_ = false;
    return send(socket_, kClose, std::string(1, kStdin));
  }

  Result<> read_frame() {
    do {
      beast::flat_buffer buffer;
      boost::system::error_code error;
      socket_.read(buffer, error);
      if (error) {
        return fail(Kind::unavailable, "the stream ended without an exit status: {}", error.message());
      }
      std::string_view frame(static_cast<const char*>(buffer.data().data()), buffer.size());
      if (frame.empty()) {
        continue;
      }
      auto data = frame.substr(1);
      if (frame[0] == kStdout) {
        KEELSON_DO(write_all(STDOUT_FILENO, data));
      } else if (frame[0] == kStderr) {
        KEELSON_DO(write_all(STDERR_FILENO, data));
      } else if (frame[0] == kStatus) {
        KEELSON_TRY(code_, exit_code(std::string(data)));
      }
      // A frame that is already buffered makes no socket readable: go on while there is one.
    } while (!code_ && socket_.next_layer().available() > 0);
    return {};
  }

  Socket& socket_;
  RemoteStreams streams_;
  int signals_;
  bool reading_;
  std::optional<int> code_;
};

}  // namespace

Result<int> run_remote(const std::string& url, RemoteStreams streams) {
  asio::io_context io;
  Socket socket(io);
  KEELSON_DO(connect(io, socket, url));
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
  return Exchange(socket, streams, signals.get()).run();
}

}  // namespace keelson::cli
