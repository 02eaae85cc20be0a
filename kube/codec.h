// SPDX-License-Identifier: Apache-2.0
// Text to objects and back: YAML and JSON, as the API server reads them, with errors that name file, line and field.
//
// A file holds documents (parted by "---", or one JSON value after the other); a document holds an object, or a List of
// them. Each object becomes one Document, good or bad, so that a bad one does not spoil its neighbours.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/result.h"
#include "kube/event.h"
#include "kube/objects.h"
#include "kube/pod.h"

namespace keelson::kube {

/// Bounds on foreign text. What is over them is refused, never truncated.
inline constexpr size_t kMaxTextSize = 3 * 1024 * 1024;  ///< Bytes of one file: the API server's bound on a request.
inline constexpr int kMaxDepth = 100;                    ///< Lists in maps in lists ...
inline constexpr size_t kMaxValueCount = 300'000;        ///< Values of one file after aliases are expanded.
inline constexpr size_t kMaxExpandedSize = 2 * kMaxTextSize;  ///< Bytes of their texts.
inline constexpr size_t kMaxDocumentCount = 5'000;            ///< Objects of one file.

using Object = std::variant<Pod, ConfigMap, Secret, Service, EndpointSlice, Node, RuntimeClass>;

/// One thing wrong with a document, or worth a warning.
struct Problem {
  std::string file;
  int line = 0;      ///< From 1; 0: unknown (the whole file).
  int column = 0;    ///< From 1; 0: unknown (JSON).
  std::string path;  ///< "spec.containers[0].image"; empty: the document.
  std::string text;  ///< "expected an integer, got a string". Never holds a value of a Secret.

  /// "web.yaml:12: spec.containers[0].image: Required value".
  std::string message() const;
};

/// One object of a file. `object` is set if and only if `errors` is empty.
struct Document {
  std::string file;
  int line = 0;  ///< Where the object begins.
  /// What could be learned of its identity, also of a bad one: for events and for leaving a running pod alone.
  std::string api_version;
  std::string kind;
  std::string ns;  ///< Empty for a kind that has none (Node, RuntimeClass).
  std::string name;
  std::optional<Object> object;
  std::vector<Problem> errors;
  std::vector<Problem>
      warnings;  ///< Unknown fields with the nearest known name, keys given twice (the last one counts).
};

/// All the objects of a text, in order: decoded with the API server's type rules, defaulted and validated. Types are
/// strict: "8080" is no integer, 8080 is no string; plain yes/no/on/off are booleans as in YAML 1.1. A kind not in
/// Object gives a document with an error that names it. A text over kMaxTextSize, or not UTF-8, gives one document with
/// one error. Two documents of the same kind, namespace and name in one text: the second gets an error. An empty text
/// gives nothing. Pure; `file_name` is only for messages.
std::vector<Document> decode_documents(std::string_view text, std::string_view file_name);

/// From our own or an API server's JSON (or YAML): no defaulting, no validation, unknown fields ignored. A Pod, or a
/// list of them (PodList, List). Kind::invalid names field and reason.
Result<std::vector<Pod>> decode_pods(std::string_view text);
/// The same for a Service, an EndpointSlice, or lists of them; defaults are filled in.
Result<std::vector<Service>> decode_services(std::string_view text);
Result<std::vector<EndpointSlice>> decode_endpoint_slices(std::string_view text);
/// The same for an Event, EventList or List.
Result<std::vector<Event>> decode_events(std::string_view text);

enum class JsonStyle { compact, pretty };  ///< pretty: four blanks, as kubectl -o json.

/// Keys in alphabetical order; what the API omits when empty is omitted. apiVersion and kind are written.
std::string encode_json(const Pod& pod, JsonStyle style = JsonStyle::compact);
std::string encode_json(const std::vector<Pod>& pods, JsonStyle style = JsonStyle::compact);  ///< A v1 PodList.
std::string encode_json(const Event& event, JsonStyle style = JsonStyle::compact);
std::string encode_json(const std::vector<Event>& events, JsonStyle style = JsonStyle::compact);  ///< A v1 EventList.
std::string encode_json(const Service& service, JsonStyle style = JsonStyle::compact);
/// As kubectl -o yaml: block style, lists not indented, strings quoted only where they must be.
std::string encode_yaml(const Pod& pod);
std::string encode_yaml(const std::vector<Pod>& pods);  ///< A v1 List.
std::string encode_yaml(const Event& event);

}  // namespace keelson::kube
