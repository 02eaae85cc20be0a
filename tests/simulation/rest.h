// SPDX-License-Identifier: Apache-2.0
// An API server's answers to requests about one object. Lists and watches are watch_cache.h's.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "tests/simulation/object_store.h"

namespace keelson::simulation {

struct Target {
  std::string kind;         ///< "pods".
  std::string ns;           ///< Empty: none, or all.
  std::string name;         ///< Empty: the collection.
  std::string subresource;  ///< "status", "token".
  std::map<std::string, std::string> query;

  std::string key() const { return ns.empty() ? name : ns + "/" + name; }
};
/// Of "/api/v1/namespaces/a/pods/b/status?x=y".
Target parse_target(std::string_view path);

struct Reply {
  int status = 200;
  std::string body;
  std::optional<Duration> retry_after = {};
};
/// A metav1.Status.
Reply refuse(int code, std::string_view reason, std::string_view message);

/// Hears of what the node does to the cluster; each call comes when it is done.
class Auditor {
 public:
  virtual ~Auditor() = default;
  virtual void status_written(const json::object& before, const json::object& after) = 0;
  /// With the grace of zero by which a node says that nothing is left.
  virtual void deletion_asked(const json::object& pod) = 0;
  virtual void node_written(const json::object& before, const json::object& after) = 0;
  virtual void lease_written(const json::object& before, const json::object& after) = 0;
  /// Something that a node must never ask, in words.
  virtual void wrong(std::string text) = 0;
};

class Rest {
 public:
  Rest(ObjectStore& store, const Clock& clock, Auditor& auditor) : store_(store), clock_(clock), auditor_(auditor) {}
  Reply answer(const std::string& method, const Target& target, const std::string& body);

 private:
  Reply create(const Target& target, json::object object);
  Reply token(const Target& target, const json::object& order);
  Reply patch(const Target& target, const json::object& change);
  Reply put(const Target& target, json::object object);
  Reply remove_pod(const Target& target, const json::object& options);

  ObjectStore& store_;
  const Clock& clock_;
  Auditor& auditor_;
  uint64_t tokens_ = 0;
};

}  // namespace keelson::simulation
