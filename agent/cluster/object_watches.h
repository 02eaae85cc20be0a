// SPDX-License-Identifier: Apache-2.0
// Objects of one kind, watched for as long as some pod refers to them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/cluster/api_call.h"
#include "agent/cluster/references.h"
#include "common/log.h"
#include "common/task_group.h"
#include "kube/client/watch.h"

namespace keelson::agent {

/// A watch a scope; the watch of an object that is immutable is closed once it has come. What a watch has told stays
/// while the API is away. Belongs to the agent's loop.
template <class T>
class ObjectWatches {
 public:
  /// `kind` is for the log, `seed` of the waits. `changed` is called after each change, and when a scope has been asked
  /// for the first time.
  ObjectWatches(kube::Client& client, std::string kind, uint64_t seed, std::function<void()> changed)
      : client_(client), kind_(std::move(kind)), seeds_(seed), changed_(std::move(changed)) {}

  /// Watches these, and no others; what others held is forgotten.
  void want(const std::set<ObjectScope>& scopes) {
    std::erase_if(ending_, [](const Shared& entry) { return entry->tasks.count() == 0; });
    for (auto it = entries_.begin(); it != entries_.end();) {
      if (scopes.contains(it->first)) {
        ++it;
        continue;
      }
      it->second->tasks.cancel();
      ending_.push_back(std::move(it->second));
      it = entries_.erase(it);
    }
    for (const auto& scope : scopes) {
      if (!entries_.contains(scope)) {
        begin(scope);
      }
    }
  }

  /// Whether all of these have been asked for: what is not among objects() is not there.
  bool synced(const std::set<ObjectScope>& scopes) const {
    for (const auto& scope : scopes) {
      auto it = entries_.find(scope);
      if (it == entries_.end() || !it->second->synced) {
        return false;
      }
    }
    return true;
  }

  /// All that is known, into a map by "namespace/name".
  void copy_to(std::map<std::string, T>& objects) const {
    for (const auto& [scope, entry] : entries_) {
      for (const auto& [name, object] : entry->objects) {
        objects.insert_or_assign(name, object);
      }
    }
  }

  void retry_now() {
    for (auto& [scope, entry] : entries_) {
      entry->watch->retry_now();
    }
  }

  Task<> close() {
    want({});
    for (auto ending = std::exchange(ending_, {}); const auto& entry : ending) {
      KEELSON_CO_DO(co_await entry->tasks.close());
    }
    co_return Result<>();
  }

 private:
  struct Entry {
    Entry(Loop& loop, ObjectScope s) : scope(std::move(s)), tasks(loop) {}
    const ObjectScope scope;
    int refusals = 0;
    std::map<std::string, T> objects;
    bool synced = false;
    std::string trouble;
    std::optional<kube::Watch<T>> watch;
    TaskGroup tasks;
  };
  using Shared = std::shared_ptr<Entry>;

  void begin(const ObjectScope& scope) {
    auto entry = std::make_shared<Entry>(client_.loop(), scope);
    entries_[scope] = entry;
    kube::WatchOptions options{.ns = scope.ns, .label_selector = {}, .field_selector = {}, .seed = seeds_()};
    if (!scope.name.empty()) {
      options.field_selector = "metadata.name=" + scope.name;
    }
    entry->watch.emplace(client_, std::move(options), consumer(entry.get()));
    entry->tasks.spawn("watch of " + kind_, run(entry));
  }

  kube::WatchConsumer<T> consumer(Entry* entry) {
    return {.synced =
                [this, entry](std::vector<T> all) {
                  entry->objects.clear();
                  entry->synced = true;
                  take(*entry, std::move(all));
                },
            .changed =
                [this, entry](kube::Changes<T> changes) {
                  for (const auto& gone : changes.removed) {
                    entry->objects.erase(gone.name);
                  }
                  take(*entry, std::move(changes.changed));
                },
            .failed =
                [this, entry](const Error& error, Duration) {
                  auto it = entries_.find(entry->scope);
                  if (error.code() == 403 && it != entries_.end() && ++entry->refusals < kAuthorizerTries) {
                    entry->tasks.spawn("watch of " + kind_, retry_soon(it->second));
                  } else {
                    tell(*entry, error.message(), is_away(error));
                  }
                },
            .left_out = [this, entry](const kube::LeftOut& what) { tell(*entry, what, false); }};
  }

  void take(Entry& entry, std::vector<T> objects) {
    bool immutable = false;
    for (T& object : objects) {
      if constexpr (requires { object.immutable; }) {
        immutable = object.immutable.value_or(false);
      }
      auto name = kube::full_name(object.metadata);
      entry.objects.insert_or_assign(std::move(name), std::move(object));
    }
    entry.trouble.clear();
    if (immutable) {
      entry.tasks.cancel();  // it never changes again
    }
    changed_();
  }

  /// Each trouble once; the watch tries again by itself. That nobody answers is said of the pods' watch, once for all.
  void tell(Entry& entry, std::string text, bool away) {
    if (away) {
      log::debug("{}; trying again", text);
    } else if (entry.trouble != text) {
      log::warning("{}; trying again", text);
      entry.trouble = std::move(text);
    }
  }

  /// Keeps the entry for as long as its watch runs.
  static Task<> run(Shared entry) { co_return co_await entry->watch->run(); }
  Task<> retry_soon(Shared entry) {
    KEELSON_CO_DO(co_await client_.loop().sleep(kAuthorizerLag));
    entry->watch->retry_now();
    co_return Result<>();
  }

  kube::Client& client_;
  const std::string kind_;
  std::mt19937_64 seeds_;
  const std::function<void()> changed_;
  std::map<ObjectScope, Shared> entries_;
  std::vector<Shared> ending_;  // cancelled, and perhaps not ended yet
};

}  // namespace keelson::agent
