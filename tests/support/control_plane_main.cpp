// SPDX-License-Identifier: Apache-2.0
// control-plane HOME NODE: a whole control plane, for one node, until standard input ends. Says "ready" once it is.
// HOME/admin.conf is the administrator's kubeconfig, HOME/node.conf the node's. Its log files are in HOME.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>

#include "tests/support/control_plane.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: control-plane HOME NODE\n");
    return 2;
  }
  if (keelson::testing::kubernetes_program().empty()) {
    fmt::print(stderr, "SKIP: the Kubernetes control plane has not been built: ./dev peers\n");
    return 77;
  }
  GTEST_FLAG_SET(throw_on_failure, true);
  ::testing::InitGoogleTest();
  keelson::testing::ControlPlane control_plane(argv[1], argv[2], keelson::testing::ControlPlane::Parts::all);
  control_plane.start();
  fmt::print("ready\n");
  std::fflush(stdout);
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
  return 0;
}
