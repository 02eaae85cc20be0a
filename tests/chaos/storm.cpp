// SPDX-License-Identifier: Apache-2.0
// storm.h.
#include "tests/chaos/storm.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>

#include <atomic>
#include <thread>

#include "tests/chaos/caller.h"
#include "tests/chaos/inventory.h"

namespace keelson::chaos {

namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

/// What the kernel lets go of, and what is recorded, comes a moment after its cause.
std::vector<std::string> settle(const Node& node, const std::function<std::vector<std::string>()>& look) {
  std::vector<std::string> told;
  for (int attempt = 0; attempt < 75; ++attempt) {
    told = look();
    if (told.empty()) {
      break;
    }
    std::this_thread::sleep_for(200ms);
  }
  if (!told.empty()) {
    fmt::print("{}\n{}", fmt::join(told, "\n"), node.log_tail());
  }
  return told;
}

struct Storm {
  Node& node;
  const StormOptions& options;
  Ledger ledger;
  Dice dice{options.seed};
  uint64_t daemon_kills = 0;
  uint64_t other_kills = 0;
  std::chrono::milliseconds longest_start{0};

  bool restart() {
    const auto begin = Clock::now();
    if (node.start()) {
      longest_start =
          std::max(longest_start, std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin));
      return true;
    }
    fmt::print("the daemon does not start\n{}", node.log_tail());
    return false;
  }

  bool disturb() {
    std::this_thread::sleep_for(std::chrono::milliseconds(200 + dice.roll(2500)));
    if (!node.alive()) {
      fmt::print("the daemon ended by itself\n{}", node.log_tail());
      return false;
    }
    if (dice.chance(40)) {
      auto victims = processes_of(node);
      if (!victims.empty()) {
        ::kill(dice.one_of(victims), SIGKILL);
        ++other_kills;
      }
      return true;
    }
    node.kill();
    ++daemon_kills;
    return restart();
  }

  bool blow() {
    std::atomic<bool> over = false;
    std::vector<std::jthread> threads;
    for (int i = 0; i < options.callers; ++i) {
      threads.emplace_back([&, seed = options.seed * 1000 + daemon_kills * 100 + static_cast<uint64_t>(i)] {
        Caller caller(node, ledger, seed);
        while (!over) {
          caller.step();
        }
      });
    }
    const auto end = Clock::now() + options.between_rests;
    bool sound = true;
    while (sound && Clock::now() < end) {
      sound = disturb();
    }
    over = true;
    return sound;
  }

  bool rest() {
    Listed listed;
    auto kernel = settle(node, [&]() -> std::vector<std::string> {
      return list(node, &listed) ? disagreements(listed, found(node)) : std::vector<std::string>{"CRI does not answer"};
    });
    // The store is the daemon's alone: it is looked at between its end and its next start.
    node.kill();
    auto store = disagreements(listed, stored(node));
    if (!store.empty()) {
      fmt::print("{}\n", fmt::join(store, "\n"));
    }
    return restart() && kernel.empty() && store.empty();
  }
};

}  // namespace

bool remove_all(const Node& node) {
  auto stub = node.runtime();
  grpc::ClientContext list_context;
  v1::ListPodSandboxResponse sandboxes;
  stub->ListPodSandbox(&list_context, {}, &sandboxes);
  bool done = true;
  for (const auto& sandbox : sandboxes.items()) {
    grpc::ClientContext stop_context;
    v1::StopPodSandboxRequest stop;
    stop.set_pod_sandbox_id(sandbox.id());
    v1::StopPodSandboxResponse stopped;
    auto status = stub->StopPodSandbox(&stop_context, stop, &stopped);
    if (status.ok()) {
      grpc::ClientContext remove_context;
      v1::RemovePodSandboxRequest remove;
      remove.set_pod_sandbox_id(sandbox.id());
      v1::RemovePodSandboxResponse removed;
      status = stub->RemovePodSandbox(&remove_context, remove, &removed);
    }
    if (!status.ok()) {
      fmt::print("remove {}: {}\n", sandbox.id(), status.error_message());
      done = false;
    }
  }
  return done;
}

bool run_storm(Node& node, const StormOptions& options) {
  Storm storm{node, options, {}};
  if (!storm.restart()) {
    return false;
  }
  bool sound = true;
  const auto end = Clock::now() + options.length;
  while (sound && Clock::now() < end) {
    sound = storm.blow() && storm.rest();
    fmt::print("{} calls, {} kills of the daemon, {} of shims and containers, longest start {} ms: {}\n",
               storm.ledger.calls(), storm.daemon_kills, storm.other_kills, storm.longest_start.count(),
               sound ? "all agree" : "DISAGREEMENT");
    std::fflush(stdout);
  }
  if (node.alive()) {
    sound = remove_all(node) && sound;
    sound = settle(node, [&] { return leftovers(node); }).empty() && sound;
  }
  fmt::print("{}", storm.ledger.report());
  return sound;
}

}  // namespace keelson::chaos
