// SPDX-License-Identifier: Apache-2.0
// Which server, with which credential, and is it still there.
#include "kube/client/client.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>

#include "common/task_group.h"
#include "kube/client/curl_transport.h"

namespace keelson::kube {

namespace {

constexpr size_t kMaxBody = 16 << 20;
/// In the certificate of every API server (kubeadm, and kube-apiserver's own).
constexpr std::string_view kServiceName = "kubernetes.default.svc";

bool is_address(const std::string& host) {
  in6_addr address{};
  return ::inet_pton(AF_INET, host.c_str(), &address) == 1 || ::inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

class TransferAnswer : public Answer {
 public:
  explicit TransferAnswer(std::shared_ptr<Transfer> transfer) : transfer_(std::move(transfer)) {}
  int status() const override { return transfer_->status(); }
  std::optional<Duration> retry_after() const override { return transfer_->retry_after(); }
  Task<std::string> read() override { return transfer_->read(); }

 private:
  std::shared_ptr<Transfer> transfer_;
};

Task<std::string> read_whole(std::shared_ptr<Transfer> transfer) {
  std::string body;
  while (true) {
    KEELSON_CO_TRY(const auto part, co_await transfer->read());
    if (part.empty()) {
      co_return body;
    }
    if (body.size() + part.size() > kMaxBody) {
      co_return fail(Kind::exhausted, "an answer of more than {} bytes", kMaxBody);
    }
    body += part;
  }
}

}  // namespace

void add_query(std::string& path, std::string_view name, std::string_view value) {
  path += path.find('?') == std::string::npos ? '?' : '&';
  path += name;
  path += '=';
  for (const char c : value) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~").find(c) != std::string_view::npos;
    if (plain) {
      path += c;
    } else {
      path += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
}

struct Client::State {
  State(Loop& l, ClusterAccess a, ClientOptions o, std::unique_ptr<Transport> t)
      : loop(l),
        access(std::move(a)),
        options(std::move(o)),
        stats(options.stats ? options.stats : std::make_shared<RequestStats>()),
        transport(t ? std::move(t) : std::make_unique<CurlTransport>(l, access)),
        tasks(l) {
    servers.push_back(own_server());
    tasks.spawn("API server probe", probe_silence());
  }

  Server own_server() const {
    if (access.tls_name.empty()) {
      return {.name = access.server, .address = {}};
    }
    return {.name = {.host = access.tls_name, .port = access.server.port}, .address = access.server};
  }
  Server other_server(const ServerAddress& address) const {
    std::string name = access.tls_name.empty() ? access.server.host : access.tls_name;
    if (is_address(name)) {
      name = kServiceName;
    }
    return {.name = {.host = std::move(name), .port = address.port}, .address = address};
  }

  Task<Credential> credential() {
    if (const auto& fixed = access.credentials->fixed()) {
      co_return *fixed;
    }
    auto source = access.credentials;
    co_return co_await blocking(secrets, [source] { return source->get(); });
  }
  void refuse_credential() {
    asio::post(secrets, [source = access.credentials] { source->refused(); });
  }

  /// After a failure of servers[index]: unless another request has moved on already.
  void move_on(const Server& failed) {
    if (!servers.empty() && servers[current % servers.size()] == failed) {
      current = (current + 1) % servers.size();
    }
  }

  /// One server, one credential.
  Task<std::shared_ptr<Transfer>> try_once(Request request, Server server) {
    KEELSON_CO_TRY(auto credential, co_await this->credential());
    TransferRequest transfer_request{.method = std::move(request.method),
                                     .path = std::move(request.path),
                                     .body = std::move(request.body),
                                     .content_type = std::move(request.content_type),
                                     .server = std::move(server),
                                     .credential = std::move(credential),
                                     .connect_deadline = options.connect_deadline};
    co_return transport->start(std::move(transfer_request));
  }

  Task<std::shared_ptr<Transfer>> send(Request request) {
    bool asked_anew = false;
    std::string refusals;
    for (size_t tried = 0;;) {
      const Server server = servers[current % servers.size()];
      KEELSON_CO_TRY(auto transfer, co_await try_once(request, server));
      const SteadyTime asked = loop.clock().steady();
      auto answered = co_await transfer->headers();
      if (!answered && answered.error().kind() == Kind::cancelled) {
        co_return std::unexpected(std::move(answered).error());
      }
      stats->count({.method = request.method,
                    .host = to_string(server.name),
                    .status = answered ? transfer->status() : 0,
                    .time = loop.clock().steady() - asked,
                    .watch = request.path.find("watch=") != std::string::npos});
      if (!answered) {
        move_on(server);
        refusals += (refusals.empty() ? "" : "; ") + answered.error().message();
        if (!transfer->no_connection() || ++tried >= servers.size()) {
          co_return std::unexpected(Error(answered.error().kind(), std::move(refusals)));
        }
        continue;
      }
      answered_by = server;
      if (transfer->status() == 401 && !asked_anew) {
        asked_anew = true;
        refuse_credential();
        continue;
      }
      co_return transfer;
    }
  }

  /// While something waits for the server: is it there? The kernel tells of a dead connection; this tells of a server
  /// that lives but does not answer, or is behind something that does.
  Task<> probe_silence() {
    while (true) {
      KEELSON_CO_DO(co_await loop.sleep(options.silence / 4));
      if (transport->count() == 0 || loop.clock().steady() - transport->last_byte() < options.silence) {
        continue;
      }
      auto probed = co_await with_deadline(loop, options.probe_deadline, probe());
      if (!probed && probed.error().kind() == Kind::timeout) {
        transport->abandon(Error(Kind::unavailable,
                                 fmt::format("the API server has been silent for {} s",
                                             (options.silence + options.probe_deadline) / std::chrono::seconds(1))));
      }
    }
  }
  Task<> probe() {
    KEELSON_CO_TRY(auto transfer, co_await try_once({.path = "/version"}, servers[current % servers.size()]));
    KEELSON_CO_DO(co_await transfer->headers());
    co_return Result<>();
  }

  Loop& loop;
  const ClusterAccess access;
  const ClientOptions options;
  const std::shared_ptr<RequestStats> stats;
  std::vector<Server> servers;
  size_t current = 0;
  std::optional<Server> answered_by;
  const std::unique_ptr<Transport> transport;
  TaskGroup tasks;
  asio::thread_pool secrets{1};
  std::optional<asio::thread_pool> worker;  // most clients need none
};

Client::Client(Loop& loop, ClusterAccess access, ClientOptions options, std::unique_ptr<Transport> transport)
    : state_(std::make_unique<State>(loop, std::move(access), std::move(options), std::move(transport))) {}

Client::~Client() = default;

Task<std::unique_ptr<Answer>> Client::open(Request request, Duration deadline) {
  KEELSON_CO_TRY(auto transfer, co_await with_deadline(state_->loop, deadline, state_->send(std::move(request))));
  co_return std::make_unique<TransferAnswer>(std::move(transfer));
}

Task<Response> Client::request(Request request, Duration deadline) {
  const SteadyTime end = state_->loop.clock().steady() + deadline;
  KEELSON_CO_TRY(auto transfer, co_await with_deadline(state_->loop, deadline, state_->send(std::move(request))));
  const Duration left = std::max<Duration>(end - state_->loop.clock().steady(), Duration(0));
  KEELSON_CO_TRY(auto body, co_await with_deadline(state_->loop, left, read_whole(transfer)));
  co_return Response{.status = transfer->status(), .body = std::move(body), .retry_after = transfer->retry_after()};
}

void Client::set_other_servers(const std::vector<ServerAddress>& servers) {
  const Server now = state_->servers[state_->current % state_->servers.size()];
  state_->servers = {state_->own_server()};
  for (const ServerAddress& address : servers) {
    const Server other = state_->other_server(address);
    if (address != state_->access.server && std::ranges::find(state_->servers, other) == state_->servers.end()) {
      state_->servers.push_back(other);
    }
  }
  const auto it = std::ranges::find(state_->servers, now);
  state_->current = it != state_->servers.end() ? static_cast<size_t>(it - state_->servers.begin()) : 0;
}

void Client::drop_connection() {
  state_->move_on(state_->servers[state_->current % state_->servers.size()]);
  state_->transport->abandon(Error(Kind::unavailable, "its connection was given up: no answer came"));
}

std::optional<ServerAddress> Client::server() const {
  if (!state_->answered_by) {
    return std::nullopt;
  }
  return state_->answered_by->address.value_or(state_->answered_by->name);
}

void Client::collect(Stats& stats) const {
  state_->stats->collect(stats);
}

Loop& Client::loop() const {
  return state_->loop;
}

asio::thread_pool& Client::worker() {
  return state_->worker ? *state_->worker : state_->worker.emplace(1);
}

Task<> Client::close() {
  state_->transport->abandon(Error(Kind::cancelled, "the client is closed"));
  co_return co_await state_->tasks.close();
}

}  // namespace keelson::kube
