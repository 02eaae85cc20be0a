// SPDX-License-Identifier: Apache-2.0
// HTTP over the admin socket, by Beast.
#include "cmd/keelson/admin_client.h"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/json/parse.hpp>

namespace keelson::cli {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Socket = asio::local::stream_protocol::socket;

/// Who is asked, and what to do when nobody answers.
struct Peer {
  const std::string& path;
  const std::string& remedy;
};

Result<> send_request(Socket& socket, const Peer& peer, http::verb verb, const std::string& target) {
  const auto& path = peer.path;
  boost::system::error_code error;
  socket.connect(asio::local::stream_protocol::endpoint(path), error);
  if (error) {
    return fail(Kind::unavailable, "no node answers on {} ({}); start one with {}", path, error.message(), peer.remedy);
  }
  http::request<http::empty_body> request(verb, target, 11);
  request.set(http::field::host, "localhost");
  request.set(http::field::user_agent, "keelson");
  http::write(socket, request, error);
  if (error) {
    return fail(Kind::unavailable, "send the request to {}: {}", path, error.message());
  }
  return {};
}

std::unexpected<Error> fail_status(unsigned status, std::string text) {
  while (!text.empty() && text.back() == '\n') {
    text.pop_back();
  }
  Kind kind = Kind::internal;
  if (status == 404) {
    kind = Kind::not_found;
  } else if (status == 400) {
    kind = Kind::invalid;
  } else if (status == 409) {
    kind = Kind::conflict;
  }
  return std::unexpected(Error(kind, text.empty() ? fmt::format("the node answered {}", status) : text));
}

Result<boost::json::value> exchange(const Peer& peer, http::verb verb, const std::string& target) {
  asio::io_context io;
  Socket socket(io);
  KEELSON_DO(send_request(socket, peer, verb, target));
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(256U << 20);
  boost::system::error_code error;
  http::read(socket, buffer, parser, error);
  if (error) {
    return fail(Kind::unavailable, "read the answer from {}: {}", peer.path, error.message());
  }
  auto& response = parser.get();
  if (response.result_int() / 100 != 2) {
    return fail_status(response.result_int(), response.body());
  }
  auto value = boost::json::parse(response.body(), error);
  if (error) {
    return fail(Kind::internal, "the node's answer to {} is not JSON: {}", target, error.message());
  }
  return value;
}

}  // namespace

Result<boost::json::value> AdminClient::get(const std::string& target) const {
  return exchange({socket_, remedy_}, http::verb::get, target);
}

Result<boost::json::value> AdminClient::post(const std::string& target) const {
  return exchange({socket_, remedy_}, http::verb::post, target);
}

Result<> AdminClient::stream(const std::string& target, const std::function<void(std::string_view)>& sink) const {
  asio::io_context io;
  Socket socket(io);
  KEELSON_DO(send_request(socket, {socket_, remedy_}, http::verb::get, target));
  beast::flat_buffer buffer;
  http::response_parser<http::buffer_body> parser;
  parser.body_limit(boost::none);
  boost::system::error_code error;
  http::read_header(socket, buffer, parser, error);
  if (error) {
    return fail(Kind::unavailable, "read the answer from {}: {}", socket_, error.message());
  }
  std::string refusal;
  char piece[16384];
  while (!parser.is_done()) {
    parser.get().body().data = piece;
    parser.get().body().size = sizeof piece;
    http::read_some(socket, buffer, parser, error);
    std::string_view got(piece, sizeof piece - parser.get().body().size);
    if (parser.get().result_int() / 100 != 2) {
      refusal += got;
    } else if (!got.empty()) {
      sink(got);
    }
    if (error && error != http::error::need_buffer) {
      if (error == http::error::end_of_stream || error == http::error::partial_message) {
        break;
      }
      return fail(Kind::unavailable, "read from {}: {}", socket_, error.message());
    }
  }
  if (parser.get().result_int() / 100 != 2) {
    return fail_status(parser.get().result_int(), refusal);
  }
  return {};
}

std::string percent_encode(std::string_view text) {
  std::string out;
  for (char c : text) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
                 c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

}  // namespace keelson::cli
