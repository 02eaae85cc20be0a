// SPDX-License-Identifier: Apache-2.0
// What etcd is to an API server: objects as JSON, one version that counts up with every change of any of them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include <boost/json/object.hpp>

namespace keelson::simulation {

namespace json = boost::json;

/// Never changed once it is stored.
using Object = std::shared_ptr<const json::object>;
/// By "namespace/name", or the name of what has no namespace.
using Objects = std::map<std::string, Object>;

struct Change {
  uint64_t version = 0;
  std::string key;
  Object before;  ///< Null: it is new.
  Object after;   ///< Null: it has gone.
};

/// metadata.<field>, or "".
std::string meta_text(const json::object& object, std::string_view field);
/// metadata of an object that is being changed; made if there is none.
json::object& meta_of(json::object& object);

class ObjectStore {
 public:
  /// A kind is a resource's name: "pods", "leases".
  Object find(const std::string& kind, const std::string& key) const;
  const Objects& all(const std::string& kind) const;
  uint64_t version() const { return version_; }

  /// Stores it under the next version, which is written into it.
  Object put(const std::string& kind, const std::string& key, json::object object);
  void remove(const std::string& kind, const std::string& key);
  /// "uid-17": never given twice.
  std::string new_uid();

  /// Told of every change, in order.
  std::function<void(const std::string& kind, const Change&)> changed = [](const std::string&, const Change&) {};

 private:
  std::map<std::string, Objects> kinds_;
  uint64_t version_ = 1000;
  uint64_t uids_ = 0;
};

}  // namespace keelson::simulation
