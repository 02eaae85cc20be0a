// SPDX-License-Identifier: Apache-2.0
// The loop of list, watch and wait.
#include "kube/client/watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <random>
#include <unordered_map>

#include "kube/client/api.h"
#include "kube/client/backoff.h"
#include "kube/own_node.h"

namespace keelson::kube {

namespace {

/// Pieces up to this are decoded on the loop itself: a thread's wake-up costs more.
constexpr size_t kSmallPiece = 16 << 10;
constexpr size_t kMaxErrorBody = 64 << 10;
/// client-go: each watch asks the server to end it after 5 to 10 minutes, so that nodes spread over the servers.
constexpr int kLeastWatchSeconds = 300;
/// A watch that ends sooner without an event counts as a failure (client-go: "very short watch").
constexpr std::chrono::seconds kShortWatch{1};
constexpr int kGone = 410;

struct Resource {
  std::string_view group;  ///< Empty: core.
  std::string_view version;
  std::string_view name;  ///< "endpointslices".
};
constexpr Resource resource_of(const Service*) {
  return {"", "v1", "services"};
}
constexpr Resource resource_of(const EndpointSlice*) {
  return {"discovery.k8s.io", "v1", "endpointslices"};
}
constexpr Resource resource_of(const Node*) {
  return {"", "v1", "nodes"};
}
constexpr Resource resource_of(const OwnNode*) {
  return {"", "v1", "nodes"};
}
constexpr Resource resource_of(const Pod*) {
  return {"", "v1", "pods"};
}
constexpr Resource resource_of(const ConfigMap*) {
  return {"", "v1", "configmaps"};
}
constexpr Resource resource_of(const Secret*) {
  return {"", "v1", "secrets"};
}
constexpr Resource resource_of(const RuntimeClass*) {
  return {"node.k8s.io", "v1", "runtimeclasses"};
}

std::string path_of(const Resource& resource, const WatchOptions& options) {
  auto path = resource.group.empty() ? fmt::format("/api/{}", resource.version)
                                     : fmt::format("/apis/{}/{}", resource.group, resource.version);
  if (!options.ns.empty()) {
    path += fmt::format("/namespaces/{}", options.ns);
  }
  path += fmt::format("/{}", resource.name);
  if (!options.label_selector.empty()) {
    add_query(path, "labelSelector", options.label_selector);
  }
  if (!options.field_selector.empty()) {
    add_query(path, "fieldSelector", options.field_selector);
  }
  return path;
}

/// Why a list or a watch did not go on.
struct Failure {
  Error error;
  std::optional<Duration> retry_after = {};
  bool gone = false;     ///< The version is no longer there: list again.
  bool too_new = false;  ///< The version is not there yet: another server lags behind.
};

/// What the API server's Status means to us, with what to do about it.
Failure failure_of(int http_status, const Status& status, const Resource& resource, bool cluster_wide) {
  const Error error = error_of(http_status, status);
  const int code = error.code();
  std::string text = error.what();
  if (code == 403) {
    text += fmt::format(
        "; it wants a {} with the rule {{apiGroups: [\"{}\"], resources: [\"{}\"], verbs: [\"list\", "
        "\"watch\"]}}, bound to this user",
        cluster_wide ? "ClusterRole" : "Role", resource.group, resource.name);
  }
  Failure failure{Error(error.kind(), std::move(text), code)};
  if (status.retry_after_seconds > 0) {
    failure.retry_after = std::chrono::seconds(status.retry_after_seconds);
  }
  failure.gone = code == kGone || status.reason == "Expired" || status.reason == "Gone";
  failure.too_new = status.message.find("Too large resource version") != std::string::npos;
  return failure;
}

template <class R>
using Outcome = std::expected<R, Failure>;

uint64_t random_seed() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

}  // namespace

template <class T>
struct Watch<T>::State {
  State(Client& c, WatchOptions o, WatchConsumer<T> n)
      : client(c),
        options(std::move(o)),
        consumer(std::move(n)),
        random(options.seed != 0 ? options.seed : random_seed()),
        backoff(random()),
        hurry(c.loop().io(), asio::steady_timer::time_point::max()),
        list_from(options.newest ? "" : "0") {}

  static constexpr Resource kResource = resource_of(static_cast<const T*>(nullptr));

  Loop& loop() { return client.loop(); }

  void tell_left_out(const std::vector<LeftOut>& left_out) {
    for (const LeftOut& object : left_out) {
      if (consumer.left_out) {
        consumer.left_out(object);
      }
    }
  }

  /// An answer of status 200, or why there is none.
  asio::awaitable<Outcome<std::unique_ptr<Answer>>> open(std::string path) {
    Request request{.path = std::move(path)};
    auto answer = co_await client.open(std::move(request), options.answer_deadline);
    if (!answer) {
      co_return std::unexpected(Failure{std::move(answer).error()});
    }
    if ((*answer)->status() == 200) {
      co_return *std::move(answer);
    }
    std::string body;
    while (body.size() < kMaxErrorBody) {
      auto part = co_await with_deadline(loop(), options.answer_deadline, (*answer)->read());
      if (!part || part->empty()) {
        break;
      }
      body += *part;
    }
    auto failure = failure_of((*answer)->status(), decode_status(body), kResource, options.ns.empty());
    if (const auto retry_after = (*answer)->retry_after()) {
      failure.retry_after = std::max(failure.retry_after.value_or(Duration(0)), *retry_after);
    }
    co_return std::unexpected(std::move(failure));
  }

  using Decoder = std::shared_ptr<ListDecoder<T>>;

  /// One page into `decoder`.
  asio::awaitable<Outcome<ListMeta>> read_page(std::string path, Decoder decoder) {
    auto answer = co_await open(std::move(path));
    if (!answer) {
      co_return std::unexpected(std::move(answer).error());
    }
    while (true) {
      auto part = co_await with_deadline(loop(), options.answer_deadline, (*answer)->read());
      if (!part) {
        co_return std::unexpected(Failure{std::move(part).error()});
      }
      if (part->empty()) {
        break;
      }
      auto fed =
          part->size() <= kSmallPiece
              ? decoder->feed(*part)
              : co_await blocking(client.worker(), [decoder, text = *std::move(part)] { return decoder->feed(text); });
      if (!fed) {
        co_return std::unexpected(Failure{std::move(fed).error()});
      }
    }
    auto meta = decoder->finish();
    if (!meta) {
      co_return std::unexpected(Failure{std::move(meta).error()});
    }
    co_return *std::move(meta);
  }

  /// All pages. On success `version` is the list's, and the consumer has it.
  asio::awaitable<Outcome<bool>> list() {
    // All pages into one: its vector grows on the worker's thread.
    auto decoder = std::make_shared<ListDecoder<T>>(options.annotations);
    std::string token;
    std::string listed_version;
    while (true) {
      auto path = path_of(kResource, options);
      if (!whole_list) {
        add_query(path, "limit", std::to_string(options.page_size));
      }
      if (!token.empty()) {
        add_query(path, "continue", token);
      } else if (!list_from.empty()) {
        add_query(path, "resourceVersion", list_from);
      }
      auto meta = co_await read_page(std::move(path), decoder);
      if (!meta) {
        // A page that has expired: without pages, the next list comes to its end.
        whole_list = meta.error().gone && !token.empty();
        co_return std::unexpected(std::move(meta).error());
      }
      listed_version = std::move(meta->resource_version);
      token = std::move(meta->continue_token);
      if (token.empty()) {
        break;
      }
    }
    version = list_from = listed_version;
    whole_list = false;
    need_list = false;
    tell_left_out(decoder->take_left_out());
    consumer.synced(decoder->take());
    co_return true;
  }

  /// Events to one change an object; the last one counts.
  Changes<T> changes_of(std::vector<WatchEvent<T>>& events) {
    Changes<T> changes;
    std::unordered_map<std::string, size_t> last;
    for (size_t i = 0; i < events.size(); ++i) {
      if (events[i].type != EventType::bookmark) {
        last[full_name(events[i].object.metadata)] = i;
      }
    }
    for (size_t i = 0; i < events.size(); ++i) {
      WatchEvent<T>& event = events[i];
      auto name = full_name(event.object.metadata);
      // Of several objects that had the name and are gone, each end is told: by its uid it may be the one that is
      // known.
      const bool ends = event.type == EventType::deleted && events[last[name]].type == EventType::deleted;
      if (event.type == EventType::bookmark || (last[name] != i && !ends)) {
        continue;
      }
      if (event.type == EventType::deleted) {
        changes.removed.push_back({.name = std::move(name), .uid = std::move(event.object.metadata.uid)});
      } else {
        changes.changed.push_back(std::move(event.object));
      }
    }
    return changes;
  }

  /// Hands the events on; answers with the error event, if one is among them.
  std::optional<Failure> take(std::vector<WatchEvent<T>> events) {
    std::optional<Failure> failure;
    for (size_t i = 0; i < events.size(); ++i) {
      if (events[i].type == EventType::error) {
        failure = failure_of(events[i].status.code, events[i].status, kResource, options.ns.empty());
        events.resize(i);
        break;
      }
      if (const auto& seen = events[i].object.metadata.resource_version; !seen.empty()) {
        version = list_from = seen;
      }
    }
    auto changes = changes_of(events);
    if (!changes.changed.empty() || !changes.removed.empty()) {
      consumer.changed(std::move(changes));
    }
    return failure;
  }

  /// Until the watch ends by itself (true: it had events, or lasted), or fails.
  asio::awaitable<Outcome<bool>> watch() {
    auto path = path_of(kResource, options);
    add_query(path, "watch", "true");
    add_query(path, "allowWatchBookmarks", "true");
    add_query(path, "resourceVersion", version);
    add_query(path, "timeoutSeconds",
              std::to_string(kLeastWatchSeconds + static_cast<int>(random() % kLeastWatchSeconds)));
    const SteadyTime begun = loop().clock().steady();
    auto answer = co_await open(std::move(path));
    if (!answer) {
      co_return std::unexpected(std::move(answer).error());
    }
    well = true;
    EventDecoder<T> decoder(options.annotations);
    bool events_seen = false;
    while (true) {
      auto part = co_await (*answer)->read();
      if (!part) {
        co_return std::unexpected(Failure{std::move(part).error()});
      }
      if (part->empty()) {
        co_return events_seen || loop().clock().steady() - begun > kShortWatch;
      }
      auto events = decoder.feed(*part);
      tell_left_out(decoder.take_left_out());
      if (!events) {
        co_return std::unexpected(Failure{std::move(events).error()});
      }
      events_seen = events_seen || !events->empty();
      if (auto failure = take(*std::move(events))) {
        co_return std::unexpected(*std::move(failure));
      }
    }
  }

  /// What a failure changes about the next try; then waits.
  Task<> recover(Failure failure) {
    well = false;
    const bool again = std::exchange(was_gone, failure.gone);
    if (failure.gone || failure.too_new) {
      need_list = true;
      list_from.clear();  // the newest, not one that a server may not have
    }
    if (failure.gone && !again) {
      co_return Result<>();  // a first time is the ordinary course of things
    }
    Duration wait = backoff.next(loop().clock().steady());
    if (failure.retry_after) {
      wait = std::max(wait, *failure.retry_after);
    }
    if (consumer.failed) {
      const char* verb = need_list ? "list" : "watch";
      consumer.failed(std::move(failure.error).with_context(fmt::format("{} {}", verb, kResource.name)), wait);
    }
    using namespace asio::experimental::awaitable_operators;
    auto waited = co_await (loop().sleep(wait) || hurried());
    co_return waited.index() == 0 ? std::get<0>(std::move(waited)) : Result<>();
  }
  asio::awaitable<void> hurried() { co_await hurry.async_wait(use_result); }

  Client& client;
  const WatchOptions options;
  const WatchConsumer<T> consumer;
  std::mt19937_64 random;
  Backoff backoff;
  asio::steady_timer hurry;  // cancelled: the wait after a failure ends
  std::string version;       // seen last
  std::string list_from;     // the list is to be no older; "0": any that the server has at hand; empty: the newest
  bool need_list = true;
  bool whole_list = false;
  bool was_gone = false;  // the last failure
  bool well = false;
};

template <class T>
Watch<T>::Watch(Client& client, WatchOptions options, WatchConsumer<T> consumer)
    : state_(std::make_unique<State>(client, std::move(options), std::move(consumer))) {}

template <class T>
Watch<T>::~Watch() = default;

template <class T>
bool Watch<T>::healthy() const {
  return state_->well;
}

template <class T>
void Watch<T>::retry_now() {
  state_->hurry.cancel();
}

template <class T>
Task<> Watch<T>::run() {
  State& state = *state_;
  while (true) {
    auto done = state.need_list ? co_await state.list() : co_await state.watch();
    if (!done && done.error().error.kind() == Kind::cancelled) {
      co_return std::unexpected(std::move(done.error().error));
    }
    if (!done) {
      KEELSON_CO_DO(co_await state.recover(std::move(done).error()));
    } else if (!*done) {
      KEELSON_CO_DO(co_await state.recover({Error(Kind::unavailable, "the watch ended at once, without an event")}));
    } else if (!state.need_list) {
      state.was_gone = false;
    }
  }
}

template class Watch<Service>;
template class Watch<EndpointSlice>;
template class Watch<Node>;
template class Watch<OwnNode>;
template class Watch<Pod>;
template class Watch<ConfigMap>;
template class Watch<Secret>;
template class Watch<RuntimeClass>;

}  // namespace keelson::kube
