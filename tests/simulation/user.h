// SPDX-License-Identifier: Apache-2.0
// People and controllers: random changes of the cluster, of the node's manifest folder, and of what runs.
#pragma once

#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/simulation/control_plane.h"
#include "tests/simulation/node.h"

namespace keelson::simulation {

class User {
 public:
  User(ControlPlane& plane, Runtime& runtime, const Clock& clock, uint64_t seed, std::string manifests);

  /// One change.
  void act();
  /// What the node's folder holds: uids of static pods by the names that the API shows.
  const std::map<std::string, std::string>& statics() const { return statics_; }

 private:
  void make_pod();
  void delete_pod();
  void replace_pod();
  void edit_pod();
  void others_status();
  void change_input();
  void change_manifest();
  void delete_mirror();
  void end_container();
  void lose_sandbox();
  void label_node();

  json::object new_pod(const std::string& name);
  /// A pod of the API, no mirror; empty: there is none.
  std::string some_pod();
  size_t below(size_t bound) { return random_() % bound; }
  bool one_in(size_t many) { return below(many) == 0; }

  ControlPlane& plane_;
  Runtime& runtime_;
  const Clock& clock_;
  std::mt19937_64 random_;
  const std::string manifests_;
  std::map<std::string, std::string> statics_;
  uint64_t counter_ = 0;
};

}  // namespace keelson::simulation
