// SPDX-License-Identifier: Apache-2.0
// The command line of cluster_fuzz.
#include <fmt/format.h>

#include <chrono>

#include <CLI/CLI.hpp>

#include "common/log.h"
#include "tests/simulation/simulation.h"

int main(int argc, char** argv) {
  CLI::App app("A node's client code against a simulated control plane that fails in every way, in virtual time");
  keelson::simulation::Plan plan{.seed = 1, .steps = 100'000};
  bool logs = false;
  app.add_option("--steps", plan.steps, "Changes, faults and passages of time");
  app.add_option("--seed", plan.seed, "The same steps again");
  app.add_option("--every", plan.steps_a_round, "Steps between two calms, after which all must be right");
  app.add_flag("--verbose", plan.verbose, "Print each round");
  app.add_flag("--logs", logs, "Show the node's log");
  CLI11_PARSE(app, argc, argv);
  keelson::log::set_level(logs ? keelson::log::Level::debug : keelson::log::Level::off);
  fmt::print("seed {}\n", plan.seed);
  const auto began = std::chrono::steady_clock::now();
  const auto report = keelson::simulation::run(plan);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  for (const auto& failure : report.failures) {
    fmt::print("{}\n", failure);
  }
  fmt::print(
      "{} steps in {:.1f} s ({:.0f} s of the node's time), {} calms (the slowest came right in {:.0f} s), {} "
      "restarts\n",
      report.steps, took.count(), report.virtual_seconds, report.rounds, report.slowest_calm, report.restarts);
  fmt::print(
      "{} requests: at most {} in a second, {} in ten, {} in the second after a break; {:.0f} in a minute of calm\n",
      report.requests, report.worst_second, report.worst_ten, report.worst_reconnect, report.calm_a_minute);
  for (const auto& [what, count] : report.requests_by_kind) {
    fmt::print("  {:8} {}\n", count, what);
  }
  return report.failures.empty() ? 0 : 1;
}
