// SPDX-License-Identifier: Apache-2.0
// A whole node for end-to-end tests: the built binaries, on folders, a cgroup and addresses of its own.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include <boost/json/value.hpp>

#include "tests/support/process.h"

namespace keelson::testing {

/// What this machine holds now of the things that a node makes. Two of these are equal when nothing leaked between
/// them.
struct Inventory {
  size_t processes = 0;   ///< keelson-shim processes and their descendants
  size_t mounts = 0;      ///< lines of our mountinfo
  size_t namespaces = 0;  ///< pinned netns below the node's run folder
  size_t links = 0;       ///< pod links of this node
  size_t routes = 0;
  size_t cgroups = 0;    ///< below the node's cgroup root, over all hierarchies
  size_t addresses = 0;  ///< what the IPAM store holds
  size_t files = 0;      ///< open descriptors of the node's process
  bool operator==(const Inventory&) const = default;
};
void PrintTo(const Inventory& inventory, std::ostream* out);

/// Starts a node on SetUp's first start(), and on TearDown removes every pod, ends it, and fails the test if anything
/// is left.
class NodeTest : public ::testing::Test {
 protected:
  NodeTest();
  ~NodeTest() override;
  void SetUp() override;
  void TearDown() override;

  /// Starts `keelson node`; returns once its admin socket answers.
  void start_node(const std::vector<std::string>& more_flags = {});
  /// Starts `keelson node --roles runtime`; returns once its socket takes connections.
  void start_runtime(const std::vector<std::string>& more_flags = {});
  std::string runtime_socket() const { return home_ + "/run/cri.sock"; }
  /// kill -9: nothing is cleaned.
  void kill_node();
  /// SIGTERM with removal of all pods; waits for the end.
  void stop_node();

  /// Writes a manifest into the node's folder (atomically).
  void apply(const std::string& file, const std::string& yaml);
  void remove(const std::string& file);

  /// The CLI against this node; `input` is its standard input.
  Output keelson(const std::vector<std::string>& arguments, const std::string& input = "");
  /// `get pod NAME -o json`; null while there is none.
  boost::json::value pod(const std::string& name);
  /// Polls until `condition` holds; fails the test, with the pods, events and the node's log, after `limit`.
  void wait_until(const std::string& what, const std::function<bool()>& condition,
                  std::chrono::seconds limit = std::chrono::seconds(60));
  /// Until the pod's Ready condition is True.
  void wait_ready(const std::string& name, std::chrono::seconds limit = std::chrono::seconds(60));
  void wait_gone(const std::string& name, std::chrono::seconds limit = std::chrono::seconds(60));

  /// The pid on the host of the container's first process; empty while none runs.
  std::string process_of(const std::string& pod_name, const std::string& container);
  /// Of all the pod's containers together; 0 while there is none.
  int restarts(const std::string& pod_name);

  Inventory inventory() const;
  /// That inventory() is, or within 30 s becomes, `wanted`.
  void expect_inventory(const Inventory& wanted);
  pid_t node_pid() const { return node_.pid(); }
  const std::string& home() const { return home_; }
  std::string cgroup_root() const;
  /// What the node has logged; and its last lines, to be told with a failure.
  std::string whole_log() const;
  std::string log() const;

 private:
  void spawn_node(const std::vector<std::string>& more_flags);

  std::string home_;
  std::string bin_;
  std::string subnet_;
  Background node_;
  Inventory before_;
};

}  // namespace keelson::testing
