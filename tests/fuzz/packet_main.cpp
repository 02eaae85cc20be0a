// SPDX-License-Identifier: Apache-2.0
// The command line of packet_fuzz.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include <CLI/CLI.hpp>

#include "tests/fuzz/packet_generator.h"
#include "tests/fuzz/packet_reference.h"
#include "tests/fuzz/packet_world.h"

namespace keelson::fuzz {
namespace {

struct Run {
  uint64_t packets = 0, seed = 0;
  size_t epoch = 10'000;  // packets between two sets of services; flows and tables are forgotten, too
};

struct Totals {
  uint64_t sent[kHooks] = {}, refused = 0, evicted = 0;
  uint64_t seen[static_cast<size_t>(Seen::kCount)] = {};
};

// What the programs count when the packet comes once more.
std::string counted(World& world, Hook hook, const Frame& frame) {
  static constexpr const char* kLabels[] = {
#define KEELSON_LABEL(name, kind, label, text) label,
      KL_COUNTER_LIST(KEELSON_LABEL)
#undef KEELSON_LABEL
  };
  auto before = world.counters();
  (void)world.run(hook, frame);
  auto after = world.counters();
  std::string text;
  for (size_t i = 0; i < std::size(kLabels); i++) {
    if (after[i] != before[i]) {
      text += fmt::format(" {}", kLabels[i]);
    }
  }
  return text;
}

void tell(const Run& run, uint64_t number, Hook hook, const Frame& frame, const Outcome& outcome,
          const std::string& wrong) {
  fmt::print("seed {} packet {} through {}: {}\n  in:  {}\n  out: {} ({}) {}\n", run.seed, number, to_string(hook),
             wrong, hex(frame), static_cast<int>(outcome.verdict), outcome.code, hex(outcome.frame));
}

/// What has happened since flows were forgotten.
struct Event {
  uint64_t number;
  Hook hook;
  Frame in;
  Outcome outcome;
  bool aged;  // after it
};

// Of the same flow, or from the same client to the same place, whose endpoint affinity may have chosen.
bool is_about(const Frame& frame, const Flow& flow) {
  auto parsed = parse(frame);
  return parsed &&
         (parsed->flow == flow || parsed->flow == flow.reversed() ||
          (flow.dport != surroundings().tunnel_port && parsed->flow.src == flow.src && parsed->flow.dst == flow.dst &&
           parsed->flow.dport == flow.dport && parsed->flow.protocol == flow.protocol));
}

// What became of earlier packets of the flow in `frame`, as they came or as they went on, or as the model knows it.
void tell_history(const std::vector<Event>& events, const Reference& reference, const Frame& frame) {
  std::vector<Flow> flows;
  if (auto parsed = parse(frame)) {
    flows.push_back(parsed->flow);
    if (auto known = reference.known().find(parsed->flow); known != reference.known().end()) {
      const auto& to = known->second;
      flows.push_back({to.to_src, to.to_dst, to.to_sport, to.to_dport, parsed->flow.protocol});
    }
  }
  for (const auto& event : events) {
    auto about = [&](const Flow& flow) { return is_about(event.in, flow) || is_about(event.outcome.frame, flow); };
    if (std::ranges::any_of(flows, about)) {
      fmt::print("  before, packet {} through {}: {} ({})\n    {}\n    {}\n", event.number, to_string(event.hook),
                 static_cast<int>(event.outcome.verdict), event.outcome.code, hex(event.in), hex(event.outcome.frame));
    }
    if (event.aged) {
      fmt::print("  before, after packet {}: all flows were made older\n", event.number);
    }
  }
}

// True if all packets of an epoch came to what they should.
bool run_epoch(const Run& run, uint64_t from, uint64_t to, World& world, Generator& generator, Totals& totals) {
  auto model = random_model(generator.random());
  world.set_model(model);
  world.forget();
  Reference reference(model);
  std::vector<Event> events;
  for (uint64_t number = from; number < to; number++) {
    auto hook = static_cast<Hook>(number % kHooks);
    auto frame = generator.next(hook, reference);
    auto outcome = world.run(hook, frame);
    totals.sent[number % kHooks]++;
    totals.refused += outcome.verdict == Verdict::refused;
    if (auto wrong = reference.check(hook, frame, outcome); !wrong.empty()) {
      tell(run, number, hook, frame, outcome, wrong);
      fmt::print("  once more it is counted as:{}\n", counted(world, hook, frame));
      tell_history(events, reference, frame);
      return false;
    }
    events.push_back({number, hook, std::move(frame), std::move(outcome), generator.random()() % 4000 == 0});
    if (events.back().aged) {
      world.age();
    }
  }
  if (auto wrong = reference.check_flows(world.flows()); !wrong.empty()) {
    fmt::print("seed {} after packet {}: {}\n", run.seed, to, wrong);
    return false;
  }
  for (size_t i = 0; i < std::size(totals.seen); i++) {
    totals.seen[i] += reference.seen(static_cast<Seen>(i));
  }
  return true;
}

int run_all(const Run& run) {
  World world("/sys/fs/bpf/keelson-fuzz-" + std::to_string(getpid()));
  Generator generator(run.seed);
  Totals totals;
  auto began = std::chrono::steady_clock::now();
  for (uint64_t done = 0; done < run.packets; done += run.epoch) {
    if (!run_epoch(run, done, std::min(run.packets, done + run.epoch), world, generator, totals)) {
      return 1;
    }
  }
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  fmt::print("{} packets in {:.1f} s, {:.2f} us each; refused by the kernel: {}\n", run.packets, took.count(),
             took.count() * 1e6 / static_cast<double>(run.packets), totals.refused);
  for (size_t hook = 0; hook < kHooks; hook++) {
    fmt::print("  {:<24}{:>12}\n", to_string(static_cast<Hook>(hook)), totals.sent[hook]);
  }
  for (size_t i = 0; i < std::size(totals.seen); i++) {
    fmt::print("  {:<24}{:>12}\n", to_string(static_cast<Seen>(i)), totals.seen[i]);
  }
  return 0;
}

}  // namespace
}  // namespace keelson::fuzz

int main(int argc, char** argv) {
  CLI::App app("Random packets, whole and broken, through every packet program, each judged by a model in user space");
  keelson::fuzz::Run run{.packets = 10'000'000, .seed = 1};
  app.add_option("--packets", run.packets, "How many, shared among the programs");
  app.add_option("--seed", run.seed, "The same packets again");
  CLI11_PARSE(app, argc, argv);
  if (auto reason = keelson::ebpf::testing::why_not(); !reason.empty()) {
    fmt::print("SKIP: {}\n", reason);
    return 77;
  }
  fmt::print("seed {}\n", run.seed);
  try {
    return keelson::fuzz::run_all(run);
  } catch (const std::exception& e) {
    fmt::print("{}\n", e.what());
    return 1;
  }
}
