// SPDX-License-Identifier: Apache-2.0
// All objects of a kind as they are at the API server, and each change of them: list, watch, and all that goes wrong.
//
// A Watch lists once (the first time, unless told otherwise, from the server's cache; in pages), then watches from the
// version that the list had. What follows from what happens:
// - the watch ends, or its connection breaks: it goes on from the last version seen, bookmarks included;
// - 410 Gone, as an answer, as an event, or in the middle of the pages: it lists again;
// - anything else: it waits 0.8 s, then twice as long each time up to 30 s, each wait stretched by up to as much again
//   at random (as client-go's reflector); never less than Retry-After says.
// Nothing of this takes objects away from the consumer: while the API is away it keeps what it has, and the next list
// comes as a whole.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/loop.h"
#include "kube/client/client.h"
#include "kube/json_stream.h"

namespace keelson::kube {

struct WatchOptions {
  std::string ns;                    ///< Of this namespace only; empty: of all.
  std::string label_selector;        ///< As in the API: "!service.kubernetes.io/headless".
  std::string field_selector;        ///< "metadata.name=node-1".
  AnnotationNames annotations = {};  ///< All others are dropped.
  bool newest = false;               ///< The first list is of the newest, too, and not of what the server has at hand.
  int page_size = 500;
  uint64_t seed = 0;                         ///< Of the waits; 0: a random one.
  std::chrono::seconds answer_deadline{60};  ///< For an answer to begin, and for each part of a list.
};

/// An object that is gone.
struct RemovedObject {
  std::string name;      ///< Its full_name(): "namespace/name".
  std::string uid = {};  ///< Who has learnt otherwise of a newer object of that name keeps it. Empty: not told.
};

/// What changed since the last batch, at most one entry for an object.
template <class T>
struct Changes {
  std::vector<T> changed;              ///< New, or with another content.
  std::vector<RemovedObject> removed;  ///< Of several that had one name and are gone, each.
};

/// Who is told. All are called on the loop's thread, from the watch's coroutine; they may not destroy the watch.
template <class T>
struct WatchConsumer {
  /// These are all there are, sorted by full_name(): replaces whatever was known before.
  std::function<void(std::vector<T>)> synced;
  /// What one read from the network held; at once, nothing is held back.
  std::function<void(Changes<T>)> changed;
  /// Listing or watching failed, and is tried again after `wait`. Called each time; the text says what to do where
  /// something can be done (403: the rule that is missing). May be left out.
  std::function<void(const Error&, Duration wait)> failed;
  /// An object that does not decode is passed over. May be left out.
  std::function<void(const LeftOut&)> left_out;
};

/// For the kinds of json_stream.h. All calls on the client's loop.
template <class T>
class Watch {
 public:
  /// `client` outlives it.
  Watch(Client& client, WatchOptions options, WatchConsumer<T> consumer);
  ~Watch();

  /// Runs until it is cancelled (Kind::cancelled); nothing else ends it. Once.
  Task<> run();
  /// It lists, or watches, without an error since.
  bool healthy() const;
  /// Ends the wait after a failure: somebody has heard of the API server meanwhile.
  void retry_now();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

extern template class Watch<Service>;
extern template class Watch<EndpointSlice>;
extern template class Watch<Node>;
extern template class Watch<Pod>;
extern template class Watch<ConfigMap>;
extern template class Watch<Secret>;
extern template class Watch<RuntimeClass>;

}  // namespace keelson::kube
