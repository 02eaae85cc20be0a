// SPDX-License-Identifier: Apache-2.0
#include "bench/api_server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <csignal>

#include <boost/asio/posix/stream_descriptor.hpp>

#include "common/log.h"
#include "common/task_group.h"
#include "dataplane/address.h"
#include "http/server.h"

namespace keelson::bench {
namespace {

// What a server sends beside what is asked for; most of its bytes are this.
constexpr const char* kMetadata =
    R"("uid":"8f14e45f-ceea-467f-a0e6-{0:012x}","resourceVersion":"{1}","creationTimestamp":"2026-01-01T00:00:00Z","managedFields":[{{"manager":"bench","operation":"Update","apiVersion":"v1","time":"2026-01-01T00:00:00Z","fieldsType":"FieldsV1","fieldsV1":{{"f:spec":{{"f:internalTrafficPolicy":{{}},"f:ports":{{".":{{}},"k:{{\"port\":80,\"protocol\":\"TCP\"}}":{{".":{{}},"f:name":{{}},"f:port":{{}},"f:protocol":{{}},"f:targetPort":{{}}}}}},"f:selector":{{}},"f:sessionAffinity":{{}},"f:type":{{}}}}}}}}])";

std::string address(uint32_t host_order) {
  return dataplane::Address::v4(host_order).to_string();
}

std::string service(uint32_t i) {
  return fmt::format(
      R"({{"kind":"Service","apiVersion":"v1","metadata":{{"name":"s{:06}","namespace":"bench",{}}},"spec":{{"ports":[{{"name":"http","protocol":"TCP","port":80,"targetPort":8080}}],"selector":{{"app":"s{:06}"}},"clusterIP":"{}","clusterIPs":["{}"],"type":"ClusterIP","sessionAffinity":"None","ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack","internalTrafficPolicy":"Cluster"}},"status":{{"loadBalancer":{{}}}}}})",
      i, fmt::format(fmt::runtime(kMetadata), i, 1), i, address(0x0a600001 + i), address(0x0a600001 + i));
}

std::string slice(uint32_t i, uint32_t version) {
  // The first endpoint moves with each version.
  auto first = version <= 1 ? 0x0b000000 + 2 * i : 0x0c000000 + version;
  return fmt::format(
      R"({{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{{"name":"s{0:06}-abcde","namespace":"bench","labels":{{"kubernetes.io/service-name":"s{0:06}","endpointslice.kubernetes.io/managed-by":"endpointslice-controller.k8s.io"}},{1}}},"addressType":"IPv4","endpoints":[{{"addresses":["{2}"],"conditions":{{"ready":true,"serving":true,"terminating":false}},"targetRef":{{"kind":"Pod","namespace":"bench","name":"s{0:06}-0"}},"nodeName":"other"}},{{"addresses":["{3}"],"conditions":{{"ready":true,"serving":true,"terminating":false}},"targetRef":{{"kind":"Pod","namespace":"bench","name":"s{0:06}-1"}},"nodeName":"other"}}],"ports":[{{"name":"http","protocol":"TCP","port":8080}}]}})",
      i, fmt::format(fmt::runtime(kMetadata), i, version), address(first), address(0x0b000000 + 2 * i + 1));
}

constexpr const char* kNode =
    R"({"kind":"Node","apiVersion":"v1","metadata":{"name":"here","resourceVersion":"1"},"status":{"addresses":[{"type":"InternalIP","address":"127.0.0.1"}]}})";

uint32_t number(const std::string& text) {
  uint32_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

int64_t now() {
  return std::chrono::steady_clock::now().time_since_epoch().count();
}

}  // namespace

class ApiServerProcess {
 public:
  ApiServerProcess(uint32_t services, int commands, std::atomic<int64_t>* lists_sent, std::atomic<int64_t>* event_sent,
                   std::atomic<uint32_t>* events)
      : services_(services),
        lists_sent_(lists_sent),
        event_sent_(event_sent),
        events_(events),
        commands_(loop_.io(), commands) {}

  uint16_t listen() { return server_.listen_tcp("127.0.0.1", 0).value(); }
  void run() {
    tasks_.spawn("server", server_.run());
    tasks_.spawn("commands", follow_commands());
    loop_.run();
  }

 private:
  Task<http::Response> answer(http::Request request) {
    const auto& target = request.target;
    auto what = target.path.empty() ? std::string() : target.path.back();
    if (target.flag("watch")) {
      co_return http::Response{
          .body = {}, .headers = {}, .stream = [this, what](http::Sink sink) { return watch(what, std::move(sink)); }};
    }
    if (what == "nodes") {
      co_return list("NodeList", kNode, 0, 1);
    }
    uint32_t first = number(target.text("continue")), limit = number(target.text("limit"));
    uint32_t end = limit == 0 ? services_ : std::min(services_, first + limit);
    std::string items;
    for (uint32_t i = first; i < end; i++) {
      items += (i == first ? "" : ",") + (what == "services" ? service(i) : slice(i, 1));
    }
    auto page = list(what == "services" ? "ServiceList" : "EndpointSliceList", items, end, services_);
    if (end == services_ && ++complete_ == 2) {
      lists_sent_->store(now());
    }
    co_return page;
  }

  static http::Response list(const char* kind, const std::string& items, uint32_t end, uint32_t all) {
    auto more = end == 0 || end == all ? "" : fmt::format(",\"continue\":\"{}\"", end);
    return {
        .body = fmt::format(R"({{"kind":"{}","apiVersion":"v1","metadata":{{"resourceVersion":"1"{}}},"items":[{}]}})",
                            kind, more, items),
        .headers = {},
        .stream = {}};
  }

  Task<> watch(std::string what, http::Sink sink) {
    if (what == "endpointslices") {
      sink_ = std::move(sink);
    }
    co_return co_await loop_.sleep(std::chrono::hours(1));
  }

  Task<> follow_commands() {
    while (true) {
      uint32_t wanted = 0;
      auto [failed, size] = co_await commands_.async_read_some(asio::buffer(&wanted, sizeof wanted), use_result);
      if (failed || size != sizeof wanted) {
        loop_.stop();
        co_return Result<>();
      }
      while (!sink_) {
        KEELSON_CO_DO(co_await loop_.sleep(std::chrono::milliseconds(1)));
      }
      auto event = fmt::format("{{\"type\":\"MODIFIED\",\"object\":{}}}\n", slice(wanted, ++version_));
      event_sent_->store(now());
      KEELSON_CO_DO(co_await sink_(std::move(event)));
      events_->fetch_add(1);
    }
  }

  Loop loop_{real_clock(), "api-server"};
  uint32_t services_;
  std::atomic<int64_t>* lists_sent_;
  std::atomic<int64_t>* event_sent_;
  std::atomic<uint32_t>* events_;
  asio::posix::stream_descriptor commands_;
  http::Sink sink_;
  uint32_t version_ = 1;
  int complete_ = 0;
  http::Server server_{loop_, "API server", [this](http::Request request) { return answer(std::move(request)); }};
  TaskGroup tasks_{loop_};
};

ApiServer::ApiServer(uint32_t services) {
  shared_ =
      static_cast<Shared*>(::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  new (shared_) Shared();
  int commands[2], ready[2];
  if (::pipe2(commands, O_CLOEXEC) != 0 || ::pipe2(ready, O_CLOEXEC) != 0) {
    return;
  }
  child_ = ::fork();
  if (child_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::close(commands[1]);
    serve(services, commands[0], ready[1]);
    ::_exit(0);
  }
  ::close(commands[0]);
  ::close(ready[1]);
  commands_.reset(commands[1]);
  char byte;
  Fd wait(ready[0]);
  while (::read(wait.get(), &byte, 1) < 0 && errno == EINTR) {
  }
}

void ApiServer::serve(uint32_t services, int commands, int ready) {
  ApiServerProcess server(services, commands, &shared_->lists_sent, &shared_->event_sent, &shared_->events);
  shared_->port = server.listen();
  ::close(ready);
  server.run();
}

ApiServer::~ApiServer() {
  if (child_ > 0) {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  ::munmap(shared_, sizeof(Shared));
}

std::string ApiServer::kubeconfig() const {
  return fmt::format(R"(apiVersion: v1
kind: Config
clusters: [{{name: bench, cluster: {{server: "http://127.0.0.1:{}"}}}}]
users: [{{name: bench, user: {{}}}}]
contexts: [{{name: bench, context: {{cluster: bench, user: bench}}}}]
current-context: bench
)",
                     shared_->port);
}

SteadyTime ApiServer::change(uint32_t service) {
  auto before = shared_->events.load();
  if (::write(commands_.get(), &service, sizeof service) != sizeof service) {
    return {};
  }
  while (shared_->events.load() == before) {
    ::usleep(50);
  }
  return SteadyTime(Duration(shared_->event_sent.load()));
}

}  // namespace keelson::bench
