// SPDX-License-Identifier: Apache-2.0
// Objects written into a real kube-apiserver, as a controller would: many in one call, and their status.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <boost/json/object.hpp>

namespace keelson::testing {

/// As admin, by server-side apply: an object is made, or becomes what is given. Services, EndpointSlices, Nodes,
/// Namespaces. A refusal fails the test with the server's words. Calls block; any thread may call.
class ApiObjects {
 public:
  /// `netns`: path of the network namespace in which the control plane runs; empty: the caller's.
  explicit ApiObjects(std::string netns = "") : netns_(std::move(netns)) {}

  /// One connection, in order: about 2 ms an object. With a `status`, that is written too, by the subresource.
  void apply(const std::vector<boost::json::object>& objects) const;
  /// By kind, namespace and name; what is not there is no failure.
  void remove(const std::vector<boost::json::object>& objects) const;

 private:
  void call(const std::string& requests) const;

  std::string netns_;
};

}  // namespace keelson::testing
