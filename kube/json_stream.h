// SPDX-License-Identifier: Apache-2.0
// Lists and watch events of an API server, decoded object by object while they arrive.
//
// decode_*() of codec.h want the whole text and keep the place of every value: right for a manifest, not for 100,000
// objects. Here the text comes in pieces cut anywhere, each object becomes a value as soon as it has ended, and no more
// of the text than one object's is kept. Both read the same tables of fields. Of metadata, managedFields are dropped,
// and all annotations but those that the caller names.
//
// For Service, EndpointSlice, Node, Pod, ConfigMap, Secret and RuntimeClass. Not thread-safe; may be used on any one thread at a
// time.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "kube/endpoint_slice.h"
#include "kube/node.h"
#include "kube/objects.h"
#include "kube/pod.h"
#include "kube/service.h"
#include "kube/status.h"

namespace keelson::kube {

/// Names of annotations; one that ends in '*' stands for all that begin so: {"service.kubernetes.io/*"}.
using AnnotationNames = std::vector<std::string>;

/// An object that was left out, and why: "shop/web: spec.ports[0].port: expected an integer, got a string".
using LeftOut = std::string;

/// What a list says of itself (metav1.ListMeta).
struct ListMeta {
  std::string resource_version;
  std::string continue_token;  ///< Not empty: there are more, on the next page.
};

/// A list, page by page: feed() the pieces of one, then finish(), and on with the next.
template <class T>
class ListDecoder {
 public:
  explicit ListDecoder(AnnotationNames kept);
  ~ListDecoder();

  /// Kind::invalid: not a JSON list; the decoder is spent.
  Result<> feed(std::string_view piece);
  /// Once a page's text has ended. Kind::invalid if it was cut short or is no list; the decoder is then spent.
  Result<ListMeta> finish();
  /// The objects that have ended since the last call, defaults filled in (a pod's stay as the server has them).
  std::vector<T> take();
  std::vector<LeftOut> take_left_out();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

enum class EventType { added, modified, deleted, bookmark, error };

template <class T>
struct WatchEvent {
  EventType type = EventType::error;
  T object;       ///< Of a bookmark, its metadata.resource_version alone; of an error nothing.
  Status status;  ///< Of an error.
};

/// The events of a watch: {"type":"ADDED","object":{...}} one after the other.
template <class T>
class EventDecoder {
 public:
  explicit EventDecoder(AnnotationNames kept);
  ~EventDecoder();

  /// The events that have ended in this piece, in order. Kind::invalid: not an event; the decoder is spent. An object
  /// that does not decode is left out; its resource version still counts, see left_out().
  Result<std::vector<WatchEvent<T>>> feed(std::string_view piece);
  std::vector<LeftOut> take_left_out();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The Status in an answer that is not what was asked for; what the text does not have is left empty. Never fails: a
/// proxy in between may have sent anything.
Status decode_status(std::string_view text);

extern template class ListDecoder<Service>;
extern template class ListDecoder<EndpointSlice>;
extern template class ListDecoder<Node>;
extern template class ListDecoder<Pod>;
extern template class ListDecoder<ConfigMap>;
extern template class ListDecoder<RuntimeClass>;
extern template class ListDecoder<Secret>;
extern template class EventDecoder<Service>;
extern template class EventDecoder<EndpointSlice>;
extern template class EventDecoder<Node>;
extern template class EventDecoder<Pod>;
extern template class EventDecoder<ConfigMap>;
extern template class EventDecoder<RuntimeClass>;
extern template class EventDecoder<Secret>;

}  // namespace keelson::kube
