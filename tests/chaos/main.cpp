// SPDX-License-Identifier: Apache-2.0
// The command line of cri_chaos.
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "tests/chaos/many_pods.h"
#include "tests/chaos/node.h"
#include "tests/chaos/storm.h"
#include "tests/support/process.h"

int main(int argc, char** argv) {
  namespace chaos = keelson::chaos;
  CLI::App app("Random CRI calls with kill -9 of daemon, shims and containers; afterwards CRI, store and kernel agree");
  std::string bin = "build/bin";
  int seconds = 600;
  int pods = 0;
  chaos::StormOptions options;
  app.add_option("--bin", bin, "Where keelson, keelson-shim and keelson-cni are");
  app.add_option("--seconds", seconds, "How long calls are made");
  app.add_option("--seed", options.seed, "The same calls again, if not in the same order of threads");
  app.add_option("--callers", options.callers, "Threads that call");
  app.add_option("--pods", pods, "Instead: start and remove so many pods, and look at what grows");
  CLI11_PARSE(app, argc, argv);
  options.length = std::chrono::seconds(seconds);

  if (::geteuid() != 0 || ::unshare(CLONE_NEWNET) != 0) {
    fmt::print("SKIP: needs root (namespaces, cgroups, mounts)\n");
    return 77;
  }
  keelson::testing::run({"ip", "link", "set", "lo", "up"});
  chaos::Node node(std::filesystem::absolute(bin));
  if (pods > 0) {
    return chaos::run_many_pods(node, pods) ? 0 : 1;
  }
  fmt::print("seed {}\n", options.seed);
  return chaos::run_storm(node, options) ? 0 : 1;
}
