// SPDX-License-Identifier: Apache-2.0
// HTTP by Beast: one coroutine a connection, one request a connection.
#include "agent/api_server.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "agent/api_target.h"
#include "agent/container_log.h"
#include "common/log.h"
#include "common/task_group.h"
#include "kube/codec.h"

namespace keelson::agent {

namespace {

namespace beast = boost::beast;
namespace http = beast::http;
namespace json = boost::json;
using Acceptor = asio::local::stream_protocol::acceptor;
using Socket = asio::local::stream_protocol::socket;

constexpr auto kRequestLimit = std::chrono::seconds(10);
constexpr auto kStreamLimit = std::chrono::seconds(30);

http::status status_of(Kind kind) {
  switch (kind) {
    case Kind::invalid:
      return http::status::bad_request;
    case Kind::not_found:
      return http::status::not_found;
    case Kind::conflict:
      return http::status::conflict;
    default:
      return http::status::internal_server_error;
  }
}

int64_t micros(Duration d) {
  return d / std::chrono::microseconds(1);
}

Result<std::optional<int64_t>> number(const ApiTarget& target, const std::string& key) {
  auto text = target.text(key);
  int64_t value = 0;
  if (text.empty()) {
    return std::optional<int64_t>();
  }
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) {
    return fail(Kind::invalid, "{}={}: not a count; give a whole number from 0 on", key, text);
  }
  return std::optional(value);
}

Task<http::request<http::empty_body>> read_request(Socket& socket) {
  beast::flat_buffer buffer(64 << 10);
  http::request_parser<http::empty_body> parser;
  auto [error, size] = co_await http::async_read(socket, buffer, parser, use_result);
  if (error) {
    co_return fail_asio(error, "read request");
  }
  co_return parser.release();
}

Task<> write_answer(Socket& socket, http::status status, std::string_view type, std::string body) {
  http::response<http::string_body> response(status, 11);
  response.set(http::field::content_type, beast::string_view(type.data(), type.size()));
  response.body() = std::move(body);
  response.keep_alive(false);
  response.prepare_payload();
  auto [error, size] = co_await http::async_write(socket, response, use_result);
  if (error) {
    co_return fail_asio(error, "write answer");
  }
  co_return Result<>();
}

}  // namespace

struct ApiServer::State {
  State(Loop& l, Agent& a, cri::RuntimeClient& s) : loop(l), agent(a), service(s), connections(l), acceptor(l.io()) {}
  Loop& loop;
  Agent& agent;
  cri::RuntimeClient& service;
  TaskGroup connections;
  Acceptor acceptor;
  std::shared_ptr<LogWatcher> watcher;  // from the first log that is followed on

  Result<> watch_logs() {
    KEELSON_TRY(watcher, LogWatcher::open(loop));
    connections.spawn("watch logs", LogWatcher::run(watcher));
    // A container's end is no event of its log.
    agent.on_status([followers = std::weak_ptr(watcher)](const kube::Pod&, bool) {
      if (const auto all = followers.lock()) {
        all->poke_all();
      }
    });
    return {};
  }

  Result<std::unique_ptr<LogWatcher::Watch>> watch_log(const std::string& path) {
    if (!watcher) {
      KEELSON_DO(watch_logs());
    }
    return watcher->watch(path);
  }

  Result<> listen(const std::string& path) {
    ::unlink(path.c_str());
    boost::system::error_code error;
    acceptor.open(asio::local::stream_protocol(), error);
    // The file exists with this mode from its first moment on: no window in which others may connect.
    mode_t before = ::umask(0177);
    if (!error) {
      acceptor.bind(asio::local::stream_protocol::endpoint(path), error);
    }
    ::umask(before);
    if (!error) {
      acceptor.listen(64, error);
    }
    if (error) {
      return fail_asio(error, fmt::format("listen on {}", path));
    }
    return {};
  }

  Result<std::string> timeline(const std::string& ns, const std::string& name) {
    KEELSON_TRY(auto found, agent.find_timeline(ns, name));
    json::array spans;
    for (const auto& span : found.spans()) {
      json::object one{
          {"name", span.name}, {"startMicros", micros(span.start)}, {"durationMicros", micros(span.length)}};
      if (!span.container.empty()) {
        one["container"] = span.container;
      }
      spans.push_back(std::move(one));
    }
    return json::serialize(json::object{{"spans", std::move(spans)}, {"totalMicros", micros(found.total())}});
  }

  /// The instance whose log or process is meant.
  Result<ObservedContainer> find_instance(const ApiTarget& target, bool previous) {
    const auto& path = target.path;
    if (path.size() != 4) {
      return fail(Kind::invalid, "the path is /{}/NAMESPACE/POD/CONTAINER", path[0]);
    }
    KEELSON_TRY(auto pod, agent.find_pod(path[1], path[2]));
    KEELSON_TRY(auto observed, agent.find_observed(path[1], path[2]));
    if (kube::find_container(pod.spec, path[3]) == nullptr) {
      return fail(Kind::not_found, "container {} is not valid for pod {}", path[3], path[2]);
    }
    const ObservedContainer* newest = observed.newest(path[3]);
    if (newest == nullptr) {
      return fail(Kind::invalid, "container \"{}\" in pod \"{}\" is waiting to start", path[3], path[2]);
    }
    if (!previous) {
      return *newest;
    }
    auto older = std::ranges::find_if(observed.containers, [&](const auto& c) {
      return c.name == path[3] && c.state == RunState::exited && &c != newest;
    });
    if (older != observed.containers.end()) {
      return *older;
    }
    if (newest->state == RunState::exited) {
      return *newest;
    }
    return fail(Kind::invalid, "previous terminated container \"{}\" in pod \"{}\" not found", path[3], path[2]);
  }

  Result<LogOptions> log_options(const ApiTarget& target) {
    LogOptions options;
    KEELSON_TRY(auto tail, number(target, "tailLines"));
    KEELSON_TRY(auto since, number(target, "sinceSeconds"));
    KEELSON_TRY(auto limit, number(target, "limitBytes"));
    if (tail) {
      options.tail_lines = static_cast<size_t>(*tail);
    }
    if (since) {
      options.since = loop.clock().wall() - std::chrono::seconds(*since);
    }
    if (limit) {
      options.limit_bytes = static_cast<size_t>(*limit);
    }
    options.timestamps = target.flag("timestamps");
    return options;
  }

  bool has_ended(const std::string& ns, const std::string& name, const std::string& id) {
    auto observed = agent.find_observed(ns, name);
    return !observed || std::ranges::none_of(observed->containers,
                                             [&](const auto& c) { return c.id == id && c.state != RunState::exited; });
  }

  static Task<> write_chunk(std::shared_ptr<Socket> socket, std::string text) {
    auto chunk = http::make_chunk(asio::buffer(text));
    auto [error, size] = co_await asio::async_write(*socket, chunk, use_result);
    if (error) {
      co_return fail_asio(error, "write log");
    }
    co_return Result<>();
  }

  /// A client that has left is noticed even while nothing is written.
  static Task<> wait_gone(std::shared_ptr<Socket> socket) {
    co_await socket->async_wait(Socket::wait_error, use_result);
    co_return Result<>();
  }

  /// Headers, chunks as the log grows, and the end.
  Task<> stream_log(std::shared_ptr<Socket> socket, LogFollow what) {
    http::response<http::empty_body> head(http::status::ok, 11);
    head.set(http::field::content_type, "text/plain");
    head.chunked(true);
    head.keep_alive(false);
    http::response_serializer<http::empty_body> serializer(head);
    auto [error, size] = co_await http::async_write_header(*socket, serializer, use_result);
    if (error) {
      co_return fail_asio(error, "write answer");
    }
    what.sink = [this, socket](std::string text) {
      return with_deadline<void>(loop, kStreamLimit, write_chunk(socket, std::move(text)));
    };
    using namespace asio::experimental::awaitable_operators;
    auto followed = co_await (follow_log(std::move(what)) || wait_gone(socket));
    if (followed.index() == 1) {
      co_return fail(Kind::cancelled, "the client has left");
    }
    KEELSON_CO_DO(std::get<0>(std::move(followed)));
    auto [unsent, sent] = co_await asio::async_write(*socket, http::make_chunk_last(), use_result);
    if (unsent) {
      co_return fail_asio(unsent, "write log");
    }
    co_return Result<>();
  }

  Task<std::string> stream_url(ApiTarget target) {
    KEELSON_CO_TRY(auto instance, find_instance(target, false));
    if (instance.state != RunState::running) {
      co_return fail(Kind::conflict, "container \"{}\" does not run", target.path[3]);
    }
    bool tty = target.flag("tty");
    cri::RuntimeClient::StreamRequest request{
        .command = target.all("command"), .in = target.flag("stdin"), .out = true, .error = !tty, .tty = tty};
    bool exec = target.path[0] == "exec";
    if (exec && request.command.empty()) {
      co_return fail(Kind::invalid, "exec needs a command");
    }
    auto asked = exec ? service.exec(instance.id, std::move(request), kRequestLimit)
                      : service.attach(instance.id, std::move(request), kRequestLimit);
    KEELSON_CO_TRY(auto url, co_await std::move(asked));
    co_return json::serialize(json::object{{"url", url}});
  }

  Task<std::string> answer(ApiTarget target, bool post) {
    const std::string verb = target.path.empty() ? "" : target.path[0];
    if (post && (verb == "exec" || verb == "attach")) {
      co_return co_await stream_url(std::move(target));
    }
    if (!post && verb == "healthz") {
      co_return "ok";
    }
    if (!post && verb == "pods") {
      co_return kube::encode_json(agent.pods());
    }
    if (!post && verb == "events") {
      co_return kube::encode_json(agent.events().list(target.text("namespace"), target.text("name")));
    }
    if (!post && verb == "timeline" && target.path.size() == 3) {
      co_return timeline(target.path[1], target.path[2]);
    }
    if (!post && verb == "containerLogs") {
      KEELSON_CO_TRY(auto instance, find_instance(target, target.flag("previous")));
      KEELSON_CO_TRY(auto options, log_options(target));
      co_return read_log(instance.log_path, options);
    }
    co_return fail(Kind::not_found, "there is no /{} here", fmt::join(target.path, "/"));
  }

  Task<> serve(std::shared_ptr<Socket> socket) {
    KEELSON_CO_TRY(auto request, co_await with_deadline(loop, kRequestLimit, read_request(*socket)));
    auto line = request.target();
    auto target = parse_target(std::string_view(line.data(), line.size()));
    bool post = request.method() == http::verb::post;
    if (target && !post && target->path.size() == 4 && target->path[0] == "containerLogs" && target->flag("follow")) {
      auto instance = find_instance(*target, target->flag("previous"));
      auto options = log_options(*target);
      if (instance && options) {
        LogFollow what{.path = instance->log_path, .options = *options, .ended = {}, .sink = {}, .watch = {}};
        auto watch = watch_log(what.path);
        if (!watch) {
          co_return co_await write_answer(*socket, status_of(watch.error().kind()), "text/plain",
                                          watch.error().message());
        }
        what.watch = *std::move(watch);
        what.ended = [this, ns = target->path[1], name = target->path[2], id = instance->id] {
          return has_ended(ns, name, id);
        };
        co_return co_await stream_log(socket, std::move(what));
      }
    }
    Result<std::string> body = target ? co_await answer(*target, post) : std::unexpected(target.error());
    bool text = target && !target->path.empty() && (target->path[0] == "healthz" || target->path[0] == "containerLogs");
    if (body) {
      co_return co_await write_answer(*socket, http::status::ok, text ? "text/plain" : "application/json",
                                      *std::move(body));
    }
    co_return co_await write_answer(*socket, status_of(body.error().kind()), "text/plain", body.error().message());
  }

  /// A client that went away is its own affair.
  Task<> serve_quietly(std::shared_ptr<Socket> socket) {
    if (auto done = co_await serve(std::move(socket)); !done) {
      log::debug("admin API: {}", done.error().message());
    }
    co_return Result<>();
  }
};

ApiServer::ApiServer(Loop& loop, Agent& agent, cri::RuntimeClient& service)
    : state_(std::make_unique<State>(loop, agent, service)) {}

ApiServer::~ApiServer() = default;

Task<> ApiServer::run(std::string socket_path) {
  KEELSON_CO_DO(state_->listen(socket_path));
  while (true) {
    auto socket = std::make_shared<Socket>(state_->loop.io());
    auto [error] = co_await state_->acceptor.async_accept(*socket, use_result);
    if (error == asio::error::operation_aborted) {
      state_->connections.cancel();
      ::unlink(socket_path.c_str());
      co_return fail(Kind::cancelled, "cancelled");
    }
    if (error) {
      log::warning("admin API: accept: {}; trying again in 1 s", error.message());
      KEELSON_CO_DO(co_await state_->loop.sleep(std::chrono::seconds(1)));
      continue;
    }
    state_->connections.spawn("admin API", state_->serve_quietly(std::move(socket)));
  }
}

}  // namespace keelson::agent
