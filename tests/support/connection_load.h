// SPDX-License-Identifier: Apache-2.0
// TCP connections, between namespaces of a SmallNet or where the test itself is, for tests of what happens to them: the
// program connection-load.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "ebpf/testing.h"
#include "tests/support/process.h"

namespace keelson::testing {

/// Where connection-load is. It links nothing, so that it runs in any container.
std::string connection_load_program();

/// Answers on this address and port while it lives. What it prints is in a file of `folder`.
class ConnectionServer {
 public:
  ConnectionServer(const ebpf::testing::SmallNet& net, const std::string& ns, const std::string& address, uint16_t port,
                   const std::filesystem::path& folder);

 private:
  Background process_;
};

struct LoadSize {
  size_t open = 0;  ///< Connections that stay, each with an exchange a second.
  size_t rate = 0;  ///< Short ones that begin each second.
};

/// Keeps connections to a service open and opens others, until end().
class ConnectionLoad {
 public:
  /// Returns once all that stay are open; fails the test if they are not within a minute. `to`: "10.96.0.1 80". In
  /// `cgroup`, if one is named.
  ConnectionLoad(const ebpf::testing::SmallNet& net, const std::string& ns, LoadSize size, const std::string& to,
                 const std::filesystem::path& folder, const std::string& cgroup = "");

  /// In this process' own namespace.
  ConnectionLoad(LoadSize size, const std::string& to, const std::filesystem::path& folder);

  /// Opens no more, waits until it is known of each whether it is whole (10 s at most), ends, and prints its counts.
  /// What went wrong, a line each; empty: nothing.
  std::string end();

 private:
  ConnectionLoad(std::string name, std::vector<std::string> enter, LoadSize size, const std::string& to,
                 std::string file);

  Background process_;
  std::string name_, file_;
};

}  // namespace keelson::testing
