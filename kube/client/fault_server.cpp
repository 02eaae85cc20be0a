// SPDX-License-Identifier: Apache-2.0
// fault_server.h: list, watch, and the ways in which they break.
#include "kube/client/fault_server.h"

#include <fmt/format.h>

#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/url.hpp>

namespace keelson::kube {

namespace http = boost::beast::http;
using Stream = asio::ssl::stream<asio::ip::tcp::socket>;

struct FaultServer::Connection {
  Connection(asio::ip::tcp::socket socket, asio::ssl::context& tls) : stream(std::move(socket), tls) {}
  Stream stream;

  Task<bool> write(std::string text) {
    auto [error, size] = co_await asio::async_write(stream, asio::buffer(text), use_result);
    co_return !error;
  }
  void cut() {
    boost::system::error_code ignored;
    stream.next_layer().close(ignored);
  }
};

namespace {

std::string service_json(const std::string& name, int port, uint64_t version) {
  return fmt::format(
      R"({{"kind":"Service","apiVersion":"v1","metadata":{{"name":"{}","namespace":"shop","resourceVersion":"{}",)"
      R"("managedFields":[{{"f":{{}}}}]}},"spec":{{"clusterIP":"10.96.0.1","ports":[{{"port":{}}}]}}}})",
      name, version, port);
}

std::string status_json(int code, std::string_view reason, std::string_view message) {
  return fmt::format(
      R"({{"kind":"Status","apiVersion":"v1","status":"Failure","message":"{}","reason":"{}","code":{}}})", message,
      reason, code);
}

std::string answer_text(int code, const std::string& body, std::string_view extra = "") {
  return fmt::format("HTTP/1.1 {} X\r\nContent-Type: application/json\r\n{}Content-Length: {}\r\n\r\n{}", code, extra,
                     body.size(), body);
}

std::string chunk(std::string_view text) {
  return fmt::format("{:x}\r\n{}\r\n", text.size(), text);
}

uint64_t number(const std::map<std::string, std::string>& query, const std::string& name) {
  const auto it = query.find(name);
  return it == query.end() || it->second.empty() ? 0 : std::stoull(it->second);
}

}  // namespace

FaultServer::FaultServer(Loop& loop, FaultServerOptions options)
    : loop_(loop),
      options_(std::move(options)),
      tls_(asio::ssl::context::tls_server),
      acceptor_(loop.io()),
      tasks_(loop),
      random_(options_.seed),
      changed_(loop.io(), asio::steady_timer::time_point::max()) {
  const auto issued = options_.authority->issue("api");
  tls_.use_certificate_chain(asio::buffer(issued.certificate));
  tls_.use_private_key(asio::buffer(issued.key), asio::ssl::context::pem);
  listen();
}

ClusterAccess FaultServer::access(const std::string& client_token) const {
  return {.server = address(),
          .prefix = {},
          .tls_name = {},
          .ca_pem = options_.authority->certificate(),
          .credentials = std::make_shared<Credentials>(CredentialSource{.token = client_token})};
}

ServerAddress FaultServer::address() const {
  return {.host = options_.address, .port = port_};
}

void FaultServer::listen() {
  const asio::ip::tcp::endpoint endpoint(asio::ip::make_address(options_.address), port_);
  acceptor_.open(endpoint.protocol());
  acceptor_.set_option(asio::socket_base::reuse_address(true));
  acceptor_.bind(endpoint);
  acceptor_.listen();
  port_ = acceptor_.local_endpoint().port();
  tasks_.spawn("accept", accept());
}

void FaultServer::shut() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  for (const auto& weak : std::exchange(peers_, {})) {
    if (const auto peer = weak.lock()) {
      peer->cut();
    }
  }
  wake();
}

Task<> FaultServer::close() {
  shut();
  co_return co_await tasks_.close();
}

void FaultServer::wake() {
  changed_.expires_at(asio::steady_timer::time_point::max());
}

void FaultServer::record(std::string_view type, const std::string& name, const Object& object) {
  events_.push_back({object.version, fmt::format(R"({{"type":"{}","object":{}}})", type,
                                                 service_json(name, object.port, object.version))});
  wake();
}

void FaultServer::put(const std::string& name, int port) {
  const bool known = objects_.contains(name);
  objects_[name] = {port, ++version_};
  record(known ? "MODIFIED" : "ADDED", name, objects_[name]);
}

void FaultServer::remove(const std::string& name) {
  if (const auto it = objects_.find(name); it != objects_.end()) {
    it->second.version = ++version_;
    record("DELETED", name, it->second);
    objects_.erase(it);
  }
}

void FaultServer::compact() {
  events_.clear();
  oldest_ = version_;
}

void FaultServer::pass() {
  ++version_;
}

void FaultServer::send_bookmarks() {
  events_.push_back(
      {version_,
       fmt::format(R"({{"type":"BOOKMARK","object":{{"kind":"Service","metadata":{{"resourceVersion":"{}"}}}}}})",
                   version_)});
  wake();
}

std::map<std::string, int> FaultServer::world() const {
  std::map<std::string, int> ports;
  for (const auto& [name, object] : objects_) {
    ports["shop/" + name] = object.port;
  }
  return ports;
}

Task<> FaultServer::accept() {
  while (true) {
    auto [error, socket] = co_await acceptor_.async_accept(use_result);
    if (error) {
      co_return Result<>();
    }
    auto peer = std::make_shared<Connection>(std::move(socket), tls_);
    peers_.push_back(peer);
    tasks_.spawn("serve", serve(std::move(peer)));
  }
}

Task<> FaultServer::serve(Peer peer) {
  auto [failed] = co_await peer->stream.async_handshake(asio::ssl::stream_base::server, use_result);
  if (failed) {
    co_return Result<>();
  }
  boost::beast::flat_buffer buffer;
  while (true) {
    http::request<http::empty_body> request;
    auto [error, size] = co_await http::async_read(peer->stream, buffer, request, use_result);
    if (error) {
      co_return Result<>();
    }
    std::string target(request.target());
    std::string authorization(request[http::field::authorization]);
    auto going_on = co_await answer(peer, std::move(target), std::move(authorization));
    if (!going_on || !*going_on) {
      peer->cut();
      co_return Result<>();
    }
  }
}

Task<bool> FaultServer::answer(Peer peer, std::string target, std::string authorization) {
  requests_.push_back({target, loop_.clock().steady()});
  if (mute) {
    KEELSON_CO_DO(co_await loop_.sleep(std::chrono::hours(1)));
  }
  const auto url = boost::urls::parse_origin_form(target);
  std::map<std::string, std::string> query;
  for (const auto& parameter : url->params()) {
    query[parameter.key] = parameter.value;
  }
  if (authorization != "Bearer " + token) {
    co_return co_await peer->write(answer_text(401, status_json(401, "Unauthorized", "Unauthorized")));
  }
  if (url->path() == "/version") {
    co_return co_await peer->write(answer_text(200, R"({"major":"1"})"));
  }
  if (chance(faults.refuse)) {
    const char* extra = faults.refuse_status == 429 ? "Retry-After: 3\r\n" : "";
    co_return co_await peer->write(
        answer_text(faults.refuse_status, status_json(faults.refuse_status, "Some", "refused by chance"), extra));
  }
  if (chance(faults.garbage)) {
    co_return co_await peer->write(answer_text(200, "<html>not here</html>"));
  }
  const bool watched = query.contains("watch");
  co_return co_await (watched ? watch(std::move(peer), std::move(query)) : list(std::move(peer), std::move(query)));
}

/// The token of a page is "<version>:<last name>".
Task<bool> FaultServer::list(Peer peer, std::map<std::string, std::string> query) {
  if (lagging && number(query, "resourceVersion") > 0) {
    co_return co_await peer->write(answer_text(
        504, status_json(504, "Timeout", "Too large resource version: 9, current: 1"), "Retry-After: 1\r\n"));
  }
  const std::string page = query["continue"];
  const uint64_t of = page.empty() ? version_ : std::stoull(page);
  if (!page.empty() && (of < oldest_ || chance(faults.gone_page))) {
    co_return co_await peer->write(
        answer_text(410, status_json(410, "Expired", "The provided continue parameter is too old")));
  }
  const std::string after = page.empty() ? "" : page.substr(page.find(':') + 1);
  const size_t limit = number(query, "limit") != 0 ? number(query, "limit") : SIZE_MAX;
  std::string items;
  std::string next;
  size_t count = 0;
  for (auto it = objects_.upper_bound(after); it != objects_.end(); ++it) {
    if (count++ == limit) {
      break;
    }
    items += (items.empty() ? "" : ",") + service_json(it->first, it->second.port, it->second.version);
    next = it->first;
  }
  const auto continued = count > limit ? fmt::format("{}:{}", of, next) : std::string();
  const auto text = answer_text(
      200,
      fmt::format(
          R"({{"kind":"ServiceList","apiVersion":"v1","metadata":{{"resourceVersion":"{}","continue":"{}"}},"items":[{}]}})",
          of, continued, items));
  if (chance(faults.cut)) {
    KEELSON_CO_DO(co_await peer->write(text.substr(0, random_() % text.size())));
    co_return false;
  }
  co_return co_await peer->write(text);
}

Task<bool> FaultServer::watch(Peer peer, std::map<std::string, std::string> query) {
  uint64_t from = number(query, "resourceVersion");
  if (from < oldest_ || chance(faults.gone)) {
    co_return co_await peer->write(answer_text(410, status_json(410, "Expired", "too old resource version")));
  }
  if (!*co_await peer->write(
          "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")) {
    co_return false;
  }
  struct Counted {
    size_t& count;
    explicit Counted(size_t& c) : count(c) { ++count; }
    ~Counted() { --count; }
  } counted(watching_);
  size_t sent = 0;
  while (peer->stream.next_layer().is_open()) {
    if (from < oldest_) {
      KEELSON_CO_DO(co_await send_event(
          peer, fmt::format(R"({{"type":"ERROR","object":{}}})", status_json(410, "Expired", "compacted"))));
      co_return false;
    }
    for (sent = std::min(sent, events_.size()); sent < events_.size();) {
      const Event event = events_[sent++];
      if (event.version < from || (event.version == from && event.json.find("BOOKMARK") == std::string::npos)) {
        continue;
      }
      auto well = co_await send_event(peer, event.json);
      if (!well || !*well) {
        co_return false;
      }
      from = event.version;
    }
    if (sent >= events_.size()) {
      co_await changed_.async_wait(use_result);
      const auto state = co_await asio::this_coro::cancellation_state;
      if (state.cancelled() != asio::cancellation_type::none) {
        co_return false;
      }
    }
  }
  co_return false;
}

Task<bool> FaultServer::send_event(Peer peer, std::string json) {
  json += '\n';
  if (chance(faults.gone_event)) {
    const auto error = fmt::format(R"({{"type":"ERROR","object":{}}})", status_json(410, "Expired", "by chance"));
    KEELSON_CO_DO(co_await peer->write(chunk(error)));
    co_return false;
  }
  if (chance(faults.cut)) {
    KEELSON_CO_DO(co_await peer->write(chunk(json.substr(0, random_() % json.size()))));
    co_return false;
  }
  if (chance(faults.delay)) {
    KEELSON_CO_DO(co_await loop_.sleep(std::chrono::seconds(1)));
  }
  if (chance(faults.duplicate)) {
    json += json;
  }
  if (chance(faults.split)) {
    const size_t at = random_() % json.size();
    if (at > 0) {
      KEELSON_CO_TRY(const bool well, co_await peer->write(chunk(json.substr(0, at))));
      if (!well) {
        co_return false;
      }
      KEELSON_CO_DO(co_await loop_.sleep(std::chrono::milliseconds(300)));
      json.erase(0, at);
    }
  }
  co_return co_await peer->write(chunk(json));
}

}  // namespace keelson::kube
