// SPDX-License-Identifier: Apache-2.0
// An API server of one Node and one Lease in memory, for tests: versions and conflicts as the real one's, and faults by
// request.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <boost/json/value.hpp>

#include "agent/node/node_api.h"
#include "kube/full_node.h"
#include "kube/lease.h"

namespace keelson::agent {

class FakeNodeApi : public NodeApi {
 public:
  explicit FakeNodeApi(Loop& loop) : loop_(loop) {}

  Task<std::string> call(kube::Request request, Duration deadline) override;
  Task<> wait_for_change(std::string, Duration limit) override { return loop_.sleep(limit); }
  void drop_connection() override { ++dropped; }

  /// Asked before each request: an error is its answer; Kind::timeout comes only at the request's deadline.
  std::function<Result<>(const kube::Request&)> fault = [](const kube::Request&) { return Result<>(); };

  /// What there is; null: nothing.
  boost::json::value node;
  boost::json::value lease;
  kube::FullNode typed_node() const;
  kube::Lease typed_lease() const;
  /// Somebody else writes it, too.
  void touch(boost::json::value& object);

  std::vector<kube::Request> requests;
  /// How many of a method whose path ends so.
  size_t count(std::string_view method, std::string_view path_end) const;
  int dropped = 0;

 private:
  Result<std::string> answer(const kube::Request& request);
  Result<std::string> create(boost::json::value& object, const std::string& body);
  Result<std::string> patch(const std::string& body);

  Loop& loop_;
  int version_ = 100;
};

}  // namespace keelson::agent
