// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/simulation.h"

#include <fmt/format.h>

#include <filesystem>

#include "common/log.h"
#include "tests/simulation/checks.h"

namespace keelson::simulation {

namespace {

using namespace std::chrono_literals;

/// What a calm may take until all is right: a watch's longest wait (60 s), a second for each thing behind it.
constexpr auto kCalmBound = 180s;
/// Requests that a node may make in a second: the kubelet's two bursts of 100 (kubeAPIBurst, eventBurst), and 50 of each
/// besides. In ten seconds it is a fraction of what it may.
constexpr uint64_t kMostInASecond = 300;
constexpr uint64_t kMostInTen = 400;
/// While nothing happens: Leases, the node's status, watches that end by themselves, tokens.
constexpr uint64_t kMostInACalmMinute = 60;

/// Static pods' folder, gone at the end.
struct Folder {
  Folder() {
    path = (std::filesystem::temp_directory_path() / "keelson-simulation-XXXXXX").string();
    if (::mkdtemp(path.data()) == nullptr) {
      path.clear();
    }
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string path;
};

Faults some(std::mt19937_64& random) {
  const auto up_to = [&random](int most) { return static_cast<int>(random() % static_cast<uint64_t>(most + 1)); };
  const int bad = std::array{2, 10, 60}[random() % 3];
  return {.lost = up_to(bad),
          .answer_lost = up_to(bad),
          .hangs = up_to(bad / 2),
          .busy = up_to(bad),
          .broken = up_to(bad),
          .unavailable = up_to(bad),
          .forbidden = up_to(100),
          .contended = up_to(bad),
          .gone = up_to(2 * bad),
          .cut = up_to(bad),
          .late = up_to(bad),
          .duplicate = up_to(100),
          .swap = up_to(300),
          .lag = std::chrono::milliseconds(up_to(3000)),
          .latency = std::chrono::milliseconds(up_to(300))};
}

class Simulation {
 public:
  explicit Simulation(const Plan& plan);
  Report run();

 private:
  void step();
  void fail_somehow();
  void pass(Duration time);
  void calm();
  void note_failures();
  void fail(std::string text) {
    report_.failures.push_back(fmt::format("seed {}, step {}: {}", plan_.seed, report_.steps, text));
  }

  const Plan plan_;
  Report report_;
  std::mt19937_64 random_;
  Folder folder_;
  FakeClock clock_;
  Loop loop_{clock_, "simulation"};
  Checks checks_;
  Runtime runtime_{loop_, checks_};
  ControlPlane plane_;
  User user_;
  std::unique_ptr<Node> node_;
};

Simulation::Simulation(const Plan& plan)
    : plan_(plan),
      random_(plan.seed),
      plane_(loop_, plan.seed + 1, checks_),
      user_(plane_, runtime_, clock_, plan.seed + 2, folder_.path) {
  checks_.runtime = &runtime_;
  node_ = std::make_unique<Node>(loop_, plane_, runtime_, plan.seed * 1000 + 3, folder_.path);
}

void Simulation::pass(Duration time) {
  loop_.advance(clock_, time);
  loop_.run_until_idle();
}

void Simulation::fail_somehow() {
  switch (random_() % 10) {
    case 0:
    case 1:
      plane_.faults = some(random_);
      break;
    case 2:
      plane_.go_away();
      break;
    case 3:
      plane_.restart_server();
      break;
    case 4:
      plane_.cut_connections();
      break;
    case 5:
      plane_.faults.token_expired = true;
      break;
    case 6:
      if (random_() % 4 == 0) {
        node_->restart();
        ++report_.restarts;
      }
      break;
    case 7:
      plane_.send_bookmarks();
      break;
    default:
      plane_.faults.token_expired = false;
      if (plane_.away()) {
        plane_.back();
      }
  }
}

void Simulation::step() {
  ++report_.steps;
  const auto what = random_() % 100;
  if (what < 45) {
    user_.act();
    pass(std::chrono::milliseconds(random_() % 20));
  } else if (what < 52) {
    fail_somehow();
    pass(0s);
  } else {
    pass(random_() % 40 == 0 ? 30s : std::chrono::milliseconds(random_() % 1500));
  }
  note_failures();
}

void Simulation::note_failures() {
  for (const auto& text : checks_.faults()) {
    fail(text);
  }
}

/// Nothing goes wrong and nobody changes anything, until all is as it is to be.
void Simulation::calm() {
  ++report_.rounds;
  plane_.faults = {.latency = 5ms};
  if (plane_.away()) {
    plane_.back();
  }
  const SteadyTime begun = clock_.steady();
  auto wrong = differences(plane_, runtime_, user_, clock_.wall());
  while (!wrong.empty() && clock_.steady() - begun < kCalmBound) {
    pass(1s);
    wrong = differences(plane_, runtime_, user_, clock_.wall());
  }
  report_.slowest_calm = std::max(report_.slowest_calm, std::chrono::duration<double>(clock_.steady() - begun).count());
  for (const auto& text : wrong) {
    fail(fmt::format("after a calm of {} s: {}", kCalmBound.count(), text));
  }
  report_.worst_second = std::max(report_.worst_second, plane_.requests.worst_second());
  report_.worst_ten = std::max(report_.worst_ten, plane_.requests.worst_ten());
  pass(60s);
  const uint64_t before = plane_.requests.total();
  pass(60s);
  const uint64_t in_a_minute = plane_.requests.total() - before;
  report_.calm_a_minute = std::max(report_.calm_a_minute, static_cast<double>(in_a_minute));
  wrong = differences(plane_, runtime_, user_, clock_.wall());
  for (const auto& text : wrong) {
    fail(fmt::format("it was right, and is wrong: {}", text));
  }
  if (plane_.requests.worst_second() > kMostInASecond || plane_.requests.worst_ten() > kMostInTen) {
    fail(fmt::format("{} requests in one second, {} in ten", plane_.requests.worst_second(),
                     plane_.requests.worst_ten()));
  }
  if (in_a_minute > kMostInACalmMinute) {
    fail(fmt::format("{} requests in a minute in which nothing happened", in_a_minute));
  }
  note_failures();
}

Report Simulation::run() {
  pass(5s);
  while (report_.steps < plan_.steps && report_.failures.empty()) {
    plane_.faults = some(random_);
    for (uint64_t i = 0; i < plan_.steps_a_round && report_.steps < plan_.steps && report_.failures.empty(); ++i) {
      step();
    }
    if (report_.failures.empty()) {
      calm();
    }
    if (plan_.verbose) {
      fmt::print("step {}, {:.0f} s: {} pods, {} requests, {} watches\n", report_.steps,
                 std::chrono::duration<double>(clock_.steady().time_since_epoch()).count(),
                 plane_.store.all("pods").size(), plane_.requests.total(), plane_.watch_count());
    }
  }
  report_.requests = plane_.requests.total();
  report_.worst_reconnect = plane_.requests.worst_after_break();
  report_.requests_by_kind = plane_.requests.by_kind();
  report_.virtual_seconds = std::chrono::duration<double>(clock_.steady() - SteadyTime(1h)).count();
  return report_;
}

}  // namespace

Report run(const Plan& plan) {
  return Simulation(plan).run();
}

}  // namespace keelson::simulation
