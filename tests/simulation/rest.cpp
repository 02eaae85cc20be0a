// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/rest.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/url/parse.hpp>

#include "tests/simulation/pod_rules.h"
#include "tests/support/strategic_merge.h"

namespace keelson::simulation {

namespace {

constexpr std::chrono::minutes kTokenLife{10};

Reply show(int status, const Object& object) {
  return {.status = status, .body = json::serialize(*object)};
}

Reply no_such(const Target& target) {
  return refuse(404, "NotFound", fmt::format("{} \"{}\" not found", target.kind, target.name));
}

Reply other_uid(std::string_view asked, std::string_view there) {
  return refuse(409, "Conflict",
                fmt::format("Precondition failed: UID in precondition: {}, UID in object meta: {}", asked, there));
}

std::string text_at(const json::object& object, std::string_view pointer) {
  boost::system::error_code error;
  const json::value whole(object);
  const auto* value = whole.find_pointer(pointer, error);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : "";
}

}  // namespace

Target parse_target(std::string_view path) {
  const auto url = boost::urls::parse_origin_form(path).value();
  std::vector<std::string> parts;
  for (auto segment : url.segments()) {
    parts.push_back(segment);
  }
  Target target;
  for (auto param : url.params()) {
    target.query[param.key] = param.value;
  }
  size_t at = parts.at(0) == "api" ? 2 : 3;  // behind /api/v1, /apis/GROUP/VERSION
  if (at + 2 < parts.size() && parts[at] == "namespaces") {
    target.ns = parts[at + 1];
    at += 2;
  }
  target.kind = at < parts.size() ? parts[at] : "";
  target.name = at + 1 < parts.size() ? parts[at + 1] : "";
  target.subresource = at + 2 < parts.size() ? parts[at + 2] : "";
  return target;
}

Reply refuse(int code, std::string_view reason, std::string_view message) {
  return {.status = code,
          .body = json::serialize(json::object{{"kind", "Status"},
                                               {"apiVersion", "v1"},
                                               {"status", "Failure"},
                                               {"message", message},
                                               {"reason", reason},
                                               {"code", code}})};
}

Reply Rest::answer(const std::string& method, const Target& target, const std::string& body) {
  if (method == "GET") {
    const auto found = store_.find(target.kind, target.key());
    return found ? show(200, found) : no_such(target);
  }
  auto object = json::parse(body).as_object();
  if (method == "POST") {
    return target.subresource == "token" ? token(target, object) : create(target, std::move(object));
  }
  if (!store_.find(target.kind, target.key())) {
    return no_such(target);
  }
  if (method == "PATCH") {
    return patch(target, object);
  }
  if (method == "PUT") {
    return put(target, std::move(object));
  }
  if (method == "DELETE" && target.kind == "pods") {
    return remove_pod(target, object);
  }
  auditor_.wrong(fmt::format("{} {}", method, target.kind));
  return refuse(405, "MethodNotAllowed", "no");
}

Reply Rest::create(const Target& target, json::object object) {
  const auto key = target.ns.empty() ? meta_text(object, "name") : target.ns + "/" + meta_text(object, "name");
  if (store_.find(target.kind, key)) {
    return refuse(409, "AlreadyExists", fmt::format("{} \"{}\" already exists", target.kind, key));
  }
  if (target.kind == "pods") {
    if (text_at(object, "/metadata/annotations/kubernetes.io~1config.mirror").empty()) {
      auditor_.wrong("a node makes a pod that is no mirror pod");
    }
    return show(201, create_pod(store_, clock_.wall(), std::move(object)));
  }
  meta_of(object)["uid"] = store_.new_uid();
  meta_of(object)["creationTimestamp"] = format_rfc3339(clock_.wall());
  return show(201, store_.put(target.kind, key, std::move(object)));
}

Reply Rest::token(const Target& target, const json::object& order) {
  const auto name = text_at(order, "/spec/boundObjectRef/name");
  const auto uid = text_at(order, "/spec/boundObjectRef/uid");
  const auto pod = store_.find("pods", target.ns + "/" + name);
  if (!pod) {
    return refuse(404, "NotFound", fmt::format("pods \"{}\" not found", name));
  }
  if (meta_text(*pod, "uid") != uid) {
    return refuse(409, "Conflict", "the UID in the bound object reference does not match the UID in record");
  }
  return {
      .status = 201,
      .body = json::serialize(json::object{{"status",
                                            {{"token", fmt::format("token-{}-{}", uid, ++tokens_)},
                                             {"expirationTimestamp", format_rfc3339(clock_.wall() + kTokenLife)}}}})};
}

Reply Rest::patch(const Target& target, const json::object& change) {
  const auto before = store_.find(target.kind, target.key());
  const auto asked = meta_text(change, "uid");
  const auto uid = meta_text(*before, "uid");
  if (!asked.empty() && asked != uid) {
    return other_uid(asked, uid);
  }
  if (target.kind == "pods" && asked.empty()) {
    auditor_.wrong("a pod's status is patched without its uid");
  }
  auto object = *before;
  testing::strategic_merge(object, change);
  if (json::value(object) == json::value(*before)) {
    return show(200, before);  // nothing is stored, and no version counted
  }
  const auto after = store_.put(target.kind, target.key(), std::move(object));
  if (target.kind == "pods") {
    auditor_.status_written(*before, *after);
  } else if (target.kind == "nodes") {
    auditor_.node_written(*before, *after);
  }
  return show(200, after);
}

Reply Rest::put(const Target& target, json::object object) {
  const auto before = store_.find(target.kind, target.key());
  const auto version = meta_text(object, "resourceVersion");
  if (!version.empty() && version != meta_text(*before, "resourceVersion")) {
    return refuse(409, "Conflict",
                  "the object has been modified; please apply your changes to the latest version and try again");
  }
  const auto after = store_.put(target.kind, target.key(), std::move(object));
  if (target.kind == "leases") {
    auditor_.lease_written(*before, *after);
  }
  return show(200, after);
}

Reply Rest::remove_pod(const Target& target, const json::object& options) {
  const auto pod = store_.find("pods", target.key());
  const auto asked = text_at(options, "/preconditions/uid");
  const auto uid = meta_text(*pod, "uid");
  if (asked.empty()) {
    auditor_.wrong("a pod is deleted without its uid as a precondition");
  }
  if (asked != uid) {
    return other_uid(asked, uid);
  }
  auditor_.deletion_asked(*pod);
  delete_pod(store_, clock_.wall(), target.key(), options.at("gracePeriodSeconds").to_number<int64_t>());
  return show(200, pod);
}

}  // namespace keelson::simulation
