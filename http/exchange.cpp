// SPDX-License-Identifier: Apache-2.0
// exchange.h by Beast.
#include "http/exchange.h"

#include <algorithm>
#include <optional>
#include <sstream>

#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

namespace keelson::http {
namespace {

namespace beast = boost::beast;
namespace wire = boost::beast::http;

constexpr auto kRequestLimit = std::chrono::seconds(10);
constexpr auto kPieceLimit = std::chrono::seconds(30);
constexpr auto kLinger = std::chrono::seconds(1);
constexpr size_t kMaxHead = 64 << 10;
constexpr size_t kPiece = 64 << 10;

beast::string_view view(std::string_view text) {
  return {text.data(), text.size()};
}
std::string_view plain(beast::string_view text) {
  return {text.data(), text.size()};
}

/// Kind::invalid with the status to answer with, or what the connection has come to.
std::unexpected<Error> fail_read(const boost::system::error_code& error) {
  if (error == wire::error::header_limit || error == wire::error::buffer_overflow) {
    return std::unexpected(Error(Kind::invalid, "the request's headers are larger than 64 KiB", 431));
  }
  if (error == wire::error::body_limit) {
    return std::unexpected(Error(Kind::invalid, "the request's body is too large", 413));
  }
  if (error == wire::error::end_of_stream || error == wire::error::partial_message ||
      error.category() != make_error_code(wire::error::bad_method).category()) {
    return fail_asio(error, "read request");
  }
  return std::unexpected(Error(Kind::invalid, "not a request of HTTP/1.1", 400));
}

struct Read {
  Request request;
  bool keep_alive = false;
};

Result<Read> take_request(wire::request<wire::string_body> message) {
  Read read{.request = {}, .keep_alive = message.keep_alive()};
  const auto line = plain(message.target());
  KEELSON_TRY(read.request.target, parse_target(line));
  read.request.method = plain(message.method_string());
  const size_t question = line.find('?');
  read.request.path = line.substr(0, question);
  read.request.query = question == line.npos ? "" : line.substr(question + 1);
  for (const auto& field : message) {
    read.request.headers.emplace_back(plain(field.name_string()), plain(field.value()));
  }
  read.request.body = std::move(message.body());
  return read;
}

Task<Read> read_request(std::shared_ptr<Stream> stream, beast::flat_buffer* buffer, size_t max_body) {
  wire::request_parser<wire::string_body> parser;
  parser.header_limit(kMaxHead);
  parser.body_limit(max_body);
  auto [failed, size] = co_await wire::async_read(*stream, *buffer, parser, use_result);
  if (failed) {
    co_return fail_read(failed);
  }
  co_return take_request(parser.release());
}

/// Until another request begins; false when the client has none.
Task<bool> wait_request(std::shared_ptr<Stream> stream, beast::flat_buffer* buffer) {
  if (buffer->size() > 0) {
    co_return true;
  }
  auto [failed, size] = co_await stream->async_read_some(buffer->prepare(4096), use_result);
  buffer->commit(size);
  co_return !failed;
}

template <class Body>
void fill_head(wire::response<Body>& head, const Response& response) {
  head.version(11);
  head.result(static_cast<unsigned>(response.status));
  head.set(wire::field::content_type, view(response.type));
  for (const auto& [name, value] : response.headers) {
    head.set(view(name), view(value));
  }
  head.keep_alive(false);
}

Task<> write_bytes(std::shared_ptr<Stream> stream, asio::const_buffer bytes) {
  co_return co_await stream->write(bytes);
}

/// Head and body; a client that reads slowly has time for each piece.
Task<> write_whole(Loop* loop, std::shared_ptr<Stream> stream, Response response, bool keep_alive) {
  wire::response<wire::empty_body> head;
  fill_head(head, response);
  head.keep_alive(keep_alive);
  head.content_length(response.body.size());
  std::ostringstream text;
  text << head;
  auto bytes = std::move(text).str();
  const size_t first = std::min(response.body.size(), kPiece);
  bytes.append(response.body, 0, first);
  KEELSON_CO_DO(co_await with_deadline<void>(*loop, kPieceLimit, write_bytes(stream, asio::buffer(bytes))));
  for (size_t at = first; at < response.body.size(); at += kPiece) {
    const auto piece = asio::buffer(response.body.data() + at, std::min(kPiece, response.body.size() - at));
    KEELSON_CO_DO(co_await with_deadline<void>(*loop, kPieceLimit, write_bytes(stream, piece)));
  }
  co_return Result<>();
}

Task<> write_piece(std::shared_ptr<Stream> stream, std::string piece) {
  if (piece.empty()) {
    co_return Result<>();  // an empty chunk would end the body
  }
  auto chunk = wire::make_chunk(asio::buffer(piece));
  auto [failed, size] = co_await asio::async_write(*stream, chunk, use_result);
  if (failed) {
    co_return fail_asio(failed, "write body");
  }
  co_return Result<>();
}

Task<> write_head(std::shared_ptr<Stream> stream, wire::response_serializer<wire::empty_body>* head) {
  auto [failed, size] = co_await wire::async_write_header(*stream, *head, use_result);
  if (failed) {
    co_return fail_asio(failed, "write answer");
  }
  co_return Result<>();
}

Task<> write_end(std::shared_ptr<Stream> stream) {
  auto [failed, size] = co_await asio::async_write(*stream, wire::make_chunk_last(), use_result);
  if (failed) {
    co_return fail_asio(failed, "end body");
  }
  co_return Result<>();
}

/// A client that has left is noticed even while nothing is written.
Task<> wait_gone(std::shared_ptr<Stream> stream) {
  char rest[256];
  while (true) {
    auto [failed, size] = co_await stream->async_read_some(asio::buffer(rest), use_result);
    if (failed) {
      co_return fail(Kind::cancelled, "the client has left");
    }
  }
}

Task<> write_stream(Loop* loop, std::shared_ptr<Stream> stream, Response response) {
  wire::response<wire::empty_body> head;
  fill_head(head, response);
  head.chunked(true);
  wire::response_serializer<wire::empty_body> serializer(head);
  KEELSON_CO_DO(co_await with_deadline<void>(*loop, kPieceLimit, write_head(stream, &serializer)));
  Sink sink = [loop, stream](std::string piece) {
    return with_deadline<void>(*loop, kPieceLimit, write_piece(stream, std::move(piece)));
  };
  using namespace asio::experimental::awaitable_operators;
  auto ended = co_await (response.stream(std::move(sink)) || wait_gone(stream));
  if (ended.index() == 1) {
    co_return std::get<1>(std::move(ended));
  }
  KEELSON_CO_DO(std::get<0>(std::move(ended)));
  co_return co_await with_deadline<void>(*loop, kPieceLimit, write_end(stream));
}

Task<> drain(std::shared_ptr<Stream> stream) {
  char rest[4096];
  while (true) {
    auto [failed, size] = co_await stream->socket().async_read_some(asio::buffer(rest), use_result);
    if (failed) {
      co_return Result<>();
    }
  }
}

/// The client reads what was written to its end: nothing that it still sends may break the connection before.
Task<> finish(Loop* loop, std::shared_ptr<Stream> stream) {
  (void)(co_await with_deadline<void>(*loop, kLinger, stream->end_writing())).has_value();
  (void)(co_await with_deadline<void>(*loop, kLinger, drain(stream))).has_value();
  co_return Result<>();
}

/// A Stream for whoever takes it over, while its server's coroutine lives.
class Shared final : public Connection {
 public:
  explicit Shared(std::shared_ptr<Stream> stream) : stream_(std::move(stream)) {}
  Task<size_t> read(asio::mutable_buffer into) override { return stream_->read(into); }
  Task<> write(asio::const_buffer bytes) override { return stream_->write(bytes); }
  Task<> end_writing() override { return stream_->end_writing(); }

 private:
  std::shared_ptr<Stream> stream_;
};

/// One connection's state between its requests.
class Exchange {
 public:
  Exchange(Loop& loop, std::shared_ptr<Stream> stream, Answer answer, const ServerOptions& options, Waiting& waiting)
      : loop_(loop),
        stream_(std::move(stream)),
        answer_(std::move(answer)),
        options_(options),
        waiting_(waiting),
        buffer_(kMaxHead * 2) {}

  Task<> run() {
    place_.emplace(waiting_, *stream_);
    if (stream_->secure()) {
      KEELSON_CO_DO(co_await with_deadline<void>(loop_, kRequestLimit, stream_->accept_tls()));
      if (auto shown = stream_->peer_certificates(); !shown.empty()) {
        certificates_ = std::make_shared<const std::vector<std::string>>(std::move(shown));
      }
    }
    bool more = true;
    for (bool first = true; more; first = false) {
      if (!place_) {
        place_.emplace(waiting_, *stream_);
      }
      const Duration limit = first ? Duration(kRequestLimit) : options_.idle;
      KEELSON_CO_TRY(const bool begun, co_await with_deadline<bool>(loop_, limit, wait_request(stream_, &buffer_)));
      if (!begun) {
        break;
      }
      KEELSON_CO_TRY(more, co_await serve_one());
    }
    if (stream_->secure()) {
      co_return co_await finish(&loop_, stream_);
    }
    co_return Result<>();
  }

 private:
  /// False: it was the connection's last.
  Task<bool> serve_one() {
    auto read = co_await with_deadline<Read>(loop_, kRequestLimit, read_request(stream_, &buffer_, options_.max_body));
    if (!read) {
      co_return co_await refuse(std::move(read).error());
    }
    place_.reset();
    read->request.certificates = certificates_;
    const bool keep = options_.keep_alive && read->keep_alive && read->request.method != "HEAD";
    Result<Response> response = co_await answer_(std::move(read->request));
    if (!response) {
      response = http::error(response.error());
    }
    if (response->take_over) {
      stream_->put_back(beast::buffers_to_string(buffer_.data()));
      KEELSON_CO_DO(co_await response->take_over(std::make_unique<Shared>(stream_)));
      co_return false;
    }
    if (response->stream) {
      KEELSON_CO_DO(co_await write_stream(&loop_, stream_, *std::move(response)));
      co_return false;
    }
    KEELSON_CO_DO(co_await write_whole(&loop_, stream_, *std::move(response), keep));
    co_return keep;
  }

  Task<bool> refuse(Error why) {
    if (why.kind() != Kind::invalid) {
      co_return std::unexpected(std::move(why));
    }
    const int status = why.code() != 0 ? why.code() : 400;
    KEELSON_CO_DO(co_await write_whole(&loop_, stream_, text(why.message(), status), false));
    KEELSON_CO_DO(co_await finish(&loop_, stream_));
    co_return std::unexpected(std::move(why));
  }

  Loop& loop_;
  std::shared_ptr<Stream> stream_;
  const Answer answer_;
  const ServerOptions options_;
  Waiting& waiting_;
  std::optional<Waiting::Place> place_;
  beast::flat_buffer buffer_;
  std::shared_ptr<const std::vector<std::string>> certificates_;
};

}  // namespace

Task<> serve_connection(Loop& loop, std::shared_ptr<Stream> stream, Answer answer, ServerOptions options,
                        Waiting& waiting) {
  Exchange exchange(loop, std::move(stream), std::move(answer), options, waiting);
  co_return co_await exchange.run();
}

std::string Request::header(std::string_view name) const {
  for (const auto& [known, value] : headers) {
    if (beast::iequals(view(known), view(name))) {
      return value;
    }
  }
  return "";
}

bool Request::wants_upgrade() const {
  const auto connection = header("Connection");
  return wire::token_list(view(connection)).exists("upgrade") && !header("Upgrade").empty();
}

}  // namespace keelson::http
