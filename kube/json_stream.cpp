// SPDX-License-Identifier: Apache-2.0
// json_stream.h: what of a list or an event is an object, and objects from tokens.
#include "kube/json_stream.h"

#include <algorithm>
#include <utility>

#include "kube/fields_objects.h"
#include "kube/fields_pod.h"
#include "kube/json_tokens.h"
#include "kube/own_node.h"
#include "kube/quick_reader.h"
#include "kube/text.h"

namespace keelson::kube {

void fields(auto& v, Of<ListMeta> auto& m) {
  v("resourceVersion", m.resource_version);
  v("continue", m.continue_token);
}

void fields(auto& v, Of<OwnNode> auto& n) {
  fields(v, static_cast<Node&>(n));
  v.object("status", [&](auto& status) { status("allocatable", n.allocatable); });
}

void fields(auto& v, Of<Status> auto& s) {
  v("code", s.code);
  v("reason", s.reason);
  v("message", s.message);
  v.object("details", [&](auto& details) { details("retryAfterSeconds", s.retry_after_seconds); });
}

namespace {

void complete(Service& service) {
  default_service(service);
}
void complete(EndpointSlice& slice) {
  default_endpoint_slice(slice);
}
void complete(Node&) {}
void complete(OwnNode&) {}
void complete(Pod&) {}
void complete(RuntimeClass& runtime_class) {
  default_runtime_class(runtime_class);
}
void complete(ConfigMap& config_map) {
  default_config_map(config_map);
}
void complete(Secret& secret) {
  default_secret(secret);
}

std::function<bool(std::string_view)> filter_of(AnnotationNames kept) {
  return [kept = std::move(kept)](std::string_view annotation) {
    return std::ranges::any_of(kept, [&](std::string_view name) {
      return name.ends_with('*') ? annotation.starts_with(name.substr(0, name.size() - 1)) : annotation == name;
    });
  };
}

/// False, with the reason added to `left_out`, if it is not one.
template <class T>
bool read_object(const Tokens& tokens, uint32_t at, T& object, std::vector<LeftOut>& left_out) {
  Findings findings;
  read_token(TokenAt{tokens, at}, Path{}, object, findings);
  if (!findings.errors.empty()) {
    const Finding& first = findings.errors.front();
    left_out.push_back(fmt::format("{}: {}: {}", full_name(object.metadata), first.path, first.text));
    return false;
  }
  complete(object);
  return true;
}

std::string_view text_member(const Tokens& tokens, uint32_t map, std::string_view name) {
  const uint32_t at = tokens.list[map].type == Value::Type::map ? tokens.find(map, name) : 0;
  return at != 0 && tokens.list[at].type == Value::Type::string ? tokens.text(tokens.list[at]) : std::string_view();
}

}  // namespace

template <class T>
struct ListDecoder<T>::State {
  explicit State(AnnotationNames kept)
      : tokenizer({.depth = 2,
                   .member = "items",
                   .taken =
                       [this](const Tokens& tokens, uint32_t at) {
                         if (!read_object(tokens, at, objects.emplace_back(), left_out)) {
                           objects.pop_back();
                         }
                       },
                   .object_depth = 2,
                   .keep = filter_of(std::move(kept))}) {}
  std::vector<T> objects;
  std::vector<LeftOut> left_out;
  Tokenizer tokenizer;
};

template <class T>
ListDecoder<T>::ListDecoder(AnnotationNames kept) : state_(std::make_unique<State>(std::move(kept))) {}
template <class T>
ListDecoder<T>::~ListDecoder() = default;

template <class T>
Result<> ListDecoder<T>::feed(std::string_view piece) {
  KEELSON_TRY(const size_t used, state_->tokenizer.feed(piece));
  if (used < piece.size() && piece.find_first_not_of(" \t\r\n", used) != std::string_view::npos) {
    return fail(Kind::invalid, "something follows the list");
  }
  return {};
}

template <class T>
Result<ListMeta> ListDecoder<T>::finish() {
  const Tokens& tokens = state_->tokenizer.tokens();
  if (!state_->tokenizer.finished()) {
    return fail(Kind::invalid, "the list was cut short");
  }
  const uint32_t items = tokens.list[0].type == Value::Type::map ? tokens.find(0, "items") : 0;
  const uint32_t metadata = items != 0 ? tokens.find(0, "metadata") : 0;
  if (metadata == 0 || !text_member(tokens, 0, "kind").ends_with("List")) {
    return fail(Kind::invalid, "not a list: kind {}", quoted(text_member(tokens, 0, "kind")));
  }
  ListMeta meta;
  Findings findings;
  read_token(TokenAt{tokens, metadata}, Path{}, meta, findings);
  if (!findings.errors.empty() || meta.resource_version.empty()) {
    return fail(Kind::invalid, "a list without a resourceVersion");
  }
  state_->tokenizer.restart();
  return meta;
}

template <class T>
std::vector<T> ListDecoder<T>::take() {
  return std::exchange(state_->objects, {});
}
template <class T>
std::vector<LeftOut> ListDecoder<T>::take_left_out() {
  return std::exchange(state_->left_out, {});
}

namespace {

constexpr std::pair<std::string_view, EventType> kEventTypes[] = {{"ADDED", EventType::added},
                                                                  {"MODIFIED", EventType::modified},
                                                                  {"DELETED", EventType::deleted},
                                                                  {"BOOKMARK", EventType::bookmark},
                                                                  {"ERROR", EventType::error}};

/// An event whose object is left out becomes a bookmark: what it says of the version holds.
template <class T>
Result<WatchEvent<T>> read_event(const Tokens& tokens, std::vector<LeftOut>& left_out) {
  const std::string_view type = text_member(tokens, 0, "type");
  const auto* known = std::ranges::find(kEventTypes, type, [](const auto& pair) { return pair.first; });
  const uint32_t object = tokens.list[0].type == Value::Type::map ? tokens.find(0, "object") : 0;
  if (known == std::end(kEventTypes) || object == 0 || tokens.list[object].type != Value::Type::map) {
    return fail(Kind::invalid, "not a watch event: type {}", quoted(type));
  }
  WatchEvent<T> event{.type = known->second, .object = {}, .status = {}};
  if (event.type == EventType::error) {
    Findings ignored;
    read_token(TokenAt{tokens, object}, Path{}, event.status, ignored);
  } else if (event.type == EventType::bookmark || !read_object(tokens, object, event.object, left_out)) {
    event.type = EventType::bookmark;
    const uint32_t metadata = tokens.find(object, "metadata");
    event.object = {};
    event.object.metadata.resource_version =
        metadata != 0 ? text_member(tokens, metadata, "resourceVersion") : std::string_view();
  }
  return event;
}

}  // namespace

template <class T>
struct EventDecoder<T>::State {
  explicit State(AnnotationNames kept)
      : tokenizer({.depth = 0, .member = {}, .taken = {}, .object_depth = 1, .keep = filter_of(std::move(kept))}) {}
  Tokenizer tokenizer;
  std::vector<LeftOut> left_out;
};

template <class T>
EventDecoder<T>::EventDecoder(AnnotationNames kept) : state_(std::make_unique<State>(std::move(kept))) {}
template <class T>
EventDecoder<T>::~EventDecoder() = default;

template <class T>
Result<std::vector<WatchEvent<T>>> EventDecoder<T>::feed(std::string_view piece) {
  std::vector<WatchEvent<T>> events;
  while (!piece.empty()) {
    KEELSON_TRY(const size_t used, state_->tokenizer.feed(piece));
    piece.remove_prefix(used);
    if (state_->tokenizer.finished()) {
      KEELSON_TRY(events.emplace_back(), read_event<T>(state_->tokenizer.tokens(), state_->left_out));
      state_->tokenizer.restart();
    }
  }
  return events;
}

template <class T>
std::vector<LeftOut> EventDecoder<T>::take_left_out() {
  return std::exchange(state_->left_out, {});
}

Status decode_status(std::string_view text) {
  Tokenizer tokenizer({});
  Status status;
  if (tokenizer.feed(text) && tokenizer.finished() && text_member(tokenizer.tokens(), 0, "kind") == "Status") {
    Findings ignored;
    read_token(TokenAt{tokenizer.tokens(), 0}, Path{}, status, ignored);
  }
  return status;
}

template class ListDecoder<Service>;
template class ListDecoder<EndpointSlice>;
template class ListDecoder<Node>;
template class ListDecoder<OwnNode>;
template class ListDecoder<Pod>;
template class ListDecoder<ConfigMap>;
template class ListDecoder<RuntimeClass>;
template class ListDecoder<Secret>;
template class EventDecoder<Service>;
template class EventDecoder<EndpointSlice>;
template class EventDecoder<Node>;
template class EventDecoder<OwnNode>;
template class EventDecoder<Pod>;
template class EventDecoder<ConfigMap>;
template class EventDecoder<RuntimeClass>;
template class EventDecoder<Secret>;

}  // namespace keelson::kube
