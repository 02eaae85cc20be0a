// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/watch_cache.h"

#include <fmt/format.h>

#include <algorithm>

#include <boost/json/serialize.hpp>

namespace keelson::simulation {

namespace {

constexpr size_t kWindow = 100;  // the real one's begins at 100, too

std::string field_of(const json::object& object, std::string_view path) {
  const auto dot = path.find('.');
  const auto* part = object.if_contains(path.substr(0, dot));
  const auto* value =
      part != nullptr && part->is_object() ? part->as_object().if_contains(path.substr(dot + 1)) : nullptr;
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : "";
}

/// Whether the list or watch `target` is about this object.
bool covers(const Target& target, const Object& object) {
  if (!object || (!target.ns.empty() && meta_text(*object, "namespace") != target.ns)) {
    return false;
  }
  const auto selector = target.query.find("fieldSelector");
  if (selector == target.query.end()) {
    return true;
  }
  const auto equals = selector->second.find('=');
  return field_of(*object, selector->second.substr(0, equals)) == selector->second.substr(equals + 1);
}

uint64_t number(const Target& target, const std::string& name) {
  const auto it = target.query.find(name);
  return it == target.query.end() || it->second.empty() ? 0 : std::stoull(it->second);
}

std::string event(std::string_view type, const json::object& object) {
  return json::serialize(json::object{{"type", type}, {"object", object}}) + "\n";
}

std::string gone_event(uint64_t asked, uint64_t oldest) {
  return event("ERROR", json::object{{"kind", "Status"},
                                     {"apiVersion", "v1"},
                                     {"status", "Failure"},
                                     {"message", fmt::format("too old resource version: {} ({})", asked, oldest)},
                                     {"reason", "Expired"},
                                     {"code", 410}});
}

}  // namespace

WatchCache::WatchCache(Loop& loop, const ObjectStore& store, std::mt19937_64& random, const Faults& faults)
    : loop_(loop), store_(store), random_(random), faults_(faults), tasks_(loop) {}

WatchCache::OfKind& WatchCache::kind(const std::string& name) {
  auto [it, fresh] = kinds_.try_emplace(name);
  if (fresh) {
    it->second.objects = store_.all(name);
    it->second.version = it->second.oldest = store_.version();
  }
  return it->second;
}

/// With nothing late it is as new as the store (progress notifications).
uint64_t WatchCache::reached(const OfKind& kind) const {
  return kind.late.empty() ? std::max(kind.version, store_.version()) : kind.version;
}

void WatchCache::hear(const std::string& name, const Change& change) {
  auto it = kinds_.find(name);
  if (it == kinds_.end()) {
    return;  // nobody has asked yet: kind() will take all that is there
  }
  OfKind& heard = it->second;
  const SteadyTime now = loop_.clock().steady();
  const SteadyTime due = std::max(heard.late.empty() ? now : heard.late.back().due, now + up_to(faults_.lag));
  heard.late.push_back({due, change});
  deliver_after(due - now);
}

void WatchCache::restart() {
  drop_watches();
  kinds_.clear();
  snapshots_.clear();
}

void WatchCache::drop_watches() {
  for (auto& [name, part] : kinds_) {
    for (auto& follower : std::exchange(part.followers, {})) {
      if (auto transfer = follower.transfer.lock()) {
        transfer->finish(Error(Kind::unavailable, "connection reset by peer"));
      }
    }
  }
}

void WatchCache::apply(OfKind& kind, const Change& change) {
  kind.version = change.version;
  if (change.after) {
    kind.objects[change.key] = change.after;
  } else {
    kind.objects.erase(change.key);
  }
  kind.window.push_back(change);
  if (kind.window.size() > kWindow) {
    kind.oldest = kind.window.front().version;
    kind.window.pop_front();
  }
  for (Follower& follower : kind.followers) {
    tell(follower, change);
  }
}

void WatchCache::tell(Follower& follower, const Change& change) {
  const bool was = covers(follower.target, change.before);
  const bool is = covers(follower.target, change.after);
  if ((!was && !is) || change.version <= follower.from) {
    return;
  }
  std::string text;
  if (is) {
    text = event(was ? "MODIFIED" : "ADDED", *change.after);
  } else {
    auto last = *change.before;
    meta_of(last)["resourceVersion"] = std::to_string(change.version);
    text = event("DELETED", last);
  }
  if (chance(faults_.duplicate)) {
    text += text;
  }
  enqueue(follower, {.due = {}, .key = change.key, .text = std::move(text), .cut = chance(faults_.cut)});
}

void WatchCache::enqueue(Follower& follower, Part part) {
  const SteadyTime now = loop_.clock().steady();
  const Duration delay =
      up_to(faults_.latency) + (chance(faults_.late) ? up_to(std::chrono::seconds(20)) : Duration(0));
  auto& parts = follower.parts;
  part.due = std::max(parts.empty() ? now : parts.back().due, now + delay);
  if (!parts.empty() && !part.key.empty() && !parts.back().key.empty() && !parts.back().cut && !part.cut &&
      parts.back().key != part.key && chance(faults_.swap)) {
    parts.back() = {.due = part.due, .key = "", .text = part.text + parts.back().text};
  } else {
    parts.push_back(std::move(part));
  }
  deliver_after(parts.back().due - now);
}

void WatchCache::deliver_after(Duration wait) {
  tasks_.spawn("deliver", wake(wait));
}

Task<> WatchCache::wake(Duration wait) {
  KEELSON_CO_DO(co_await loop_.sleep(wait));
  deliver();
  co_return Result<>();
}

void WatchCache::deliver() {
  const SteadyTime now = loop_.clock().steady();
  for (auto& [name, part] : kinds_) {
    while (!part.late.empty() && part.late.front().due <= now) {
      const Change change = std::move(part.late.front().change);
      part.late.pop_front();
      apply(part, change);
    }
    std::erase_if(part.followers, [this](Follower& follower) { return !flush(follower); });
  }
}

/// False: it follows no more.
bool WatchCache::flush(Follower& follower) {
  const auto transfer = follower.transfer.lock();
  if (!transfer) {
    return false;
  }
  const SteadyTime now = loop_.clock().steady();
  while (!follower.parts.empty() && follower.parts.front().due <= now) {
    const Part part = std::move(follower.parts.front());
    follower.parts.pop_front();
    transfer->arrived(part.cut ? std::string_view(part.text).substr(0, part.text.size() / 2) : part.text);
    if (part.cut) {
      transfer->finish(Error(Kind::unavailable, "the stream was cut"));
      return false;
    }
  }
  if (now >= follower.ends) {
    transfer->finish(std::nullopt);
    return false;
  }
  return true;
}

void WatchCache::send_bookmarks() {
  for (auto& [name, part] : kinds_) {
    for (Follower& follower : part.followers) {
      enqueue(follower, {.due = {},
                         .key = "",
                         .text = event("BOOKMARK", json::object{{"metadata",
                                                                 {{"resourceVersion", std::to_string(reached(part))},
                                                                  {"creationTimestamp", nullptr}}}})});
    }
  }
}

Reply WatchCache::list(const Target& target) {
  if (const auto token = target.query.find("continue"); token != target.query.end()) {
    const auto it = snapshots_.find(token->second.substr(0, token->second.find('/')));
    if (it == snapshots_.end() || chance(faults_.gone)) {
      return refuse(410, "Expired", "The provided continue parameter is too old to display a consistent list result.");
    }
    return page(target, it->second, std::stoul(token->second.substr(token->second.find('/') + 1)));
  }
  Snapshot snapshot;
  const auto asked = target.query.find("resourceVersion");
  if (asked == target.query.end() || asked->second.empty()) {
    snapshot = {store_.all(target.kind), store_.version()};
  } else {
    const OfKind& known = kind(target.kind);
    if (number(target, "resourceVersion") > reached(known)) {
      return refuse(504, "Timeout",
                    fmt::format("Too large resource version: {}, current: {}", asked->second, known.version));
    }
    snapshot = {known.objects, reached(known)};
  }
  std::erase_if(snapshot.objects, [&](const auto& entry) { return !covers(target, entry.second); });
  return page(target, snapshot, 0);
}

Reply WatchCache::get(const Target& target) {
  const auto& objects = kind(target.kind).objects;
  const auto it = objects.find(target.key());
  return it == objects.end() ? refuse(404, "NotFound", fmt::format("{} \"{}\" not found", target.kind, target.name))
                             : Reply{.body = json::serialize(*it->second)};
}

Reply WatchCache::page(const Target& target, const Snapshot& snapshot, size_t from) {
  const size_t limit = number(target, "limit") == 0 ? SIZE_MAX : number(target, "limit");
  json::array items;
  size_t at = 0;
  for (const auto& [key, object] : snapshot.objects) {
    if (at++ >= from && items.size() < limit) {
      items.push_back(*object);
    }
  }
  json::object meta{{"resourceVersion", std::to_string(snapshot.version)}};
  if (const size_t next = from + items.size(); next < snapshot.objects.size()) {
    if (snapshots_.size() > 8) {
      snapshots_.clear();
    }
    const auto name = fmt::format("snapshot-{}", ++tokens_);
    meta["continue"] = fmt::format("{}/{}", name, next);
    snapshots_[name] = snapshot;
  }
  return {.body = json::serialize(
              json::object{{"kind", "List"}, {"apiVersion", "v1"}, {"metadata", meta}, {"items", std::move(items)}})};
}

void WatchCache::watch(const std::shared_ptr<WireTransfer>& transfer, const Target& target) {
  OfKind& known = kind(target.kind);
  const uint64_t from = number(target, "resourceVersion");
  const bool gone = from < known.oldest || chance(faults_.gone);
  if (gone && chance(500)) {
    const auto reply = refuse(410, "Expired", fmt::format("too old resource version: {} ({})", from, known.oldest));
    transfer->answered(reply.status, std::nullopt);
    transfer->arrived(reply.body);
    return transfer->finish(std::nullopt);
  }
  transfer->answered(200, std::nullopt);
  if (gone) {
    transfer->arrived(gone_event(from, known.oldest));
    return transfer->finish(std::nullopt);
  }
  const SteadyTime now = loop_.clock().steady();
  const auto life = std::chrono::seconds(number(target, "timeoutSeconds"));
  Follower& follower = known.followers.emplace_back(Follower{transfer, target, from, {}, now + life});
  for (const Change& change : known.window) {
    tell(follower, change);
  }
  deliver_after(life);
}

size_t WatchCache::watch_count(const std::string& name) {
  size_t found = 0;
  if (const auto it = kinds_.find(name); it != kinds_.end()) {
    found = static_cast<size_t>(std::ranges::count_if(
        it->second.followers, [](const Follower& follower) { return !follower.transfer.expired(); }));
  }
  return found;
}

size_t WatchCache::watch_count() {
  size_t found = 0;
  for (auto& [name, part] : kinds_) {
    found += watch_count(name);
  }
  return found;
}

}  // namespace keelson::simulation
