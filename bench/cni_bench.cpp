// SPDX-License-Identifier: Apache-2.0
// CNI ADD and DEL: keelson-cni beside the reference bridge plugin with host-local, in turns, in a node's network
// namespace of our own with new namespaces as pods. Single stack and dual stack, and ADD with 200 pods there already.
#include <fmt/format.h>
#include <sched.h>
#include <stdlib.h>

#include <chrono>
#include <cstdio>
#include <filesystem>

#include <CLI/CLI.hpp>

#include "bench/report.h"
#include "common/fd.h"
#include "common/netns.h"
#include "common/process.h"

namespace {

namespace fs = std::filesystem;
using keelson::bench::Samples;
using Clock = std::chrono::steady_clock;

/// One plugin with its configuration. Any failed call ends the bench: a figure of a broken plugin is no figure.
struct Side {
  std::string program;
  std::string path;    ///< CNI_PATH: where it finds plugins that it delegates to
  std::string config;  ///< what it reads
  Samples samples;

  double call(const std::string& verb, const std::string& id, const std::string& netns) const {
    keelson::Command command;
    command.args = {program};
    command.env = {"CNI_COMMAND=" + verb, "CNI_CONTAINERID=" + id, "CNI_IFNAME=eth0", "CNI_NETNS=" + netns,
                   "CNI_PATH=" + path};
    command.input = config;
    auto begin = Clock::now();
    auto output = keelson::run_command(command);
    auto took = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
    if (!output || output->exit_code != 0) {
      std::fprintf(stderr, "bench: %s of %s: %s\n", verb.c_str(), program.c_str(),
                   output ? (output->out + output->error).c_str() : output.error().message().c_str());
      std::exit(1);
    }
    return took;
  }
};

void check(const keelson::Result<>& result) {
  if (!result) {
    std::fprintf(stderr, "bench: %s\n", result.error().message().c_str());
    std::exit(1);
  }
}

void measure(Side& side, const std::string& name, const std::string& home, const std::string& id) {
  auto netns = home + "/" + id;
  check(keelson::make_netns(netns));
  side.samples["ADD " + name].push_back(side.call("ADD", id, netns));
  side.samples["DEL " + name].push_back(side.call("DEL", id, netns));
  check(keelson::remove_netns(netns));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("CNI ADD and DEL beside the reference bridge plugin");
  std::string ours;
  std::string theirs = "/usr/lib/cni";
  int runs = 30;
  int crowd = 200;
  app.add_option("--ours", ours, "The folder of keelson-cni")->required();
  app.add_option("--theirs", theirs, "The folder of the reference plugins");
  app.add_option("--runs", runs, "Rounds");
  app.add_option("--crowd", crowd, "Pods there already, for the last row");
  CLI11_PARSE(app, argc, argv);
  char home[] = "/tmp/keelson-cni-bench-XXXXXX";
  if (::mkdtemp(home) == nullptr || ::unshare(CLONE_NEWNET) < 0) {
    std::perror("bench: a network namespace of our own");
    return 1;
  }
  auto ours_with = [&](const std::string& ranges) {
    return Side{ours + "/keelson-cni",
                ours,
                fmt::format(R"({{"cniVersion":"1.1.0","name":"ours","type":"keelson-cni","dataDir":"{}/ours",)"
                            R"("ranges":[{}]}})",
                            home, ranges),
                {}};
  };
  auto theirs_with = [&](const std::string& ranges) {
    return Side{theirs + "/bridge",
                theirs,
                fmt::format(R"({{"cniVersion":"1.0.0","name":"theirs","type":"bridge","bridge":"kl-bench0",)"
                            R"("isGateway":true,"ipam":{{"type":"host-local","dataDir":"{}/theirs","ranges":[{}],)"
                            R"("routes":[{{"dst":"0.0.0.0/0"}}]}}}})",
                            home, ranges),
                {}};
  };
  Side single[2] = {ours_with(R"("10.9.0.0/22")"), theirs_with(R"([{"subnet":"10.8.0.0/22"}])")};
  Side dual[2] = {ours_with(R"("10.9.0.0/22","fd00:9::/112")"),
                  theirs_with(R"([{"subnet":"10.8.0.0/22"}],[{"subnet":"fd00:8::/112"}])")};
  Samples samples[2];
  for (int run = -1; run < runs; ++run) {
    for (int side = 0; side < 2; ++side) {
      for (auto* stack : {&single[side], &dual[side]}) {
        measure(*stack, stack == &single[side] ? "IPv4" : "dual stack", home, fmt::format("one-{}-{}", side, run + 1));
      }
    }
    if (run < 0) {
      for (int side = 0; side < 2; ++side) {
        single[side].samples.clear();
        dual[side].samples.clear();
      }
    }
  }
  for (int side = 0; side < 2; ++side) {
    std::vector<std::string> there;
    for (int i = 0; i < crowd; ++i) {
      there.push_back(fmt::format("crowd-{}-{}", side, i));
      check(keelson::make_netns(std::string(home) + "/" + there.back()));
      single[side].call("ADD", there.back(), std::string(home) + "/" + there.back());
    }
    for (int run = 0; run < 10; ++run) {
      measure(single[side], fmt::format("beside {} pods", crowd), home, fmt::format("late-{}-{}", side, run));
    }
    for (const auto& id : there) {
      single[side].call("DEL", id, std::string(home) + "/" + id);
      check(keelson::remove_netns(std::string(home) + "/" + id));
    }
    samples[side] = single[side].samples;
    samples[side].merge(dual[side].samples);
  }
  auto crowded = fmt::format("beside {} pods", crowd);
  keelson::bench::print_table("keelson-cni", samples[0], "bridge + host-local", samples[1],
                              {{"ADD IPv4", 1.0 / 3},
                               {"DEL IPv4"},
                               {"ADD dual stack", 1.0 / 3},
                               {"DEL dual stack"},
                               {"ADD " + crowded, 1.0 / 3},
                               {"DEL " + crowded}});
  fs::remove_all(home);
  return 0;
}
