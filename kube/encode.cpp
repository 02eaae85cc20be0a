// SPDX-License-Identifier: Apache-2.0
// Objects to JSON and YAML.
#include "kube/codec.h"
#include "kube/fields_objects.h"
#include "kube/fields_pod.h"
#include "kube/value.h"
#include "kube/writer.h"

namespace keelson::kube {

namespace {

template <class T>
Value whole(const T& object, std::string_view kind) {
  Writer writer;
  writer.always("apiVersion", std::string("v1"));
  writer.always("kind", std::string(kind));
  fields(writer, object);
  return writer.take();
}

template <class T>
Value whole_list(const std::vector<T>& objects, std::string_view kind, std::string_view list_kind) {
  Value list = Value::of_type(Value::Type::map);
  Value items = Value::of_type(Value::Type::list);
  for (const T& object : objects) {
    items.items.push_back(whole(object, kind));
  }
  Value metadata = Value::of_type(Value::Type::map);
  metadata.members.push_back({"resourceVersion", Value::of_string("")});
  list.members.push_back({"apiVersion", Value::of_string("v1")});
  list.members.push_back({"items", std::move(items)});
  list.members.push_back({"kind", Value::of_string(std::string(list_kind))});
  list.members.push_back({"metadata", std::move(metadata)});
  return list;
}

std::string json(const Value& value, JsonStyle style) {
  return print_json(value, style == JsonStyle::pretty);
}

}  // namespace

std::string encode_json(const Pod& pod, JsonStyle style) {
  return json(whole(pod, "Pod"), style);
}
std::string encode_json(const std::vector<Pod>& pods, JsonStyle style) {
  return json(whole_list(pods, "Pod", "PodList"), style);
}
std::string encode_json(const Event& event, JsonStyle style) {
  return json(whole(event, "Event"), style);
}
std::string encode_json(const std::vector<Event>& events, JsonStyle style) {
  return json(whole_list(events, "Event", "EventList"), style);
}
std::string encode_json(const Service& service, JsonStyle style) {
  auto shown = service;
  if (shown.session_affinity == SessionAffinity::none) {
    shown.affinity_seconds = 0;  // The API has a time-out only where there is something to time out.
  }
  return json(whole(shown, "Service"), style);
}
std::string encode_yaml(const Pod& pod) {
  return print_yaml(whole(pod, "Pod"));
}
std::string encode_yaml(const std::vector<Pod>& pods) {
  return print_yaml(whole_list(pods, "Pod", "List"));
}
std::string encode_yaml(const Event& event) {
  return print_yaml(whole(event, "Event"));
}

}  // namespace keelson::kube
