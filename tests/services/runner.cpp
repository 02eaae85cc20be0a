// SPDX-License-Identifier: Apache-2.0
#include "tests/services/runner.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/services/flows.h"

namespace keelson::services {
namespace {

// Most of the time a scenario waits for an answer that does not come.
constexpr size_t kAtOnce = 32;

void change(Proxy& proxy, const Step& step) {
  switch (step.kind) {
    case Step::Kind::apply:
      proxy.apply(step.objects);
      return proxy.sync();
    case Step::Kind::remove:
      proxy.remove(step.objects);
      return proxy.sync();
    case Step::Kind::restart:
      proxy.stop();
      return proxy.start();
    case Step::Kind::kill:
      return proxy.kill();
    case Step::Kind::stop:
      return proxy.stop();
    case Step::Kind::start:
      return proxy.start();
    default:
      return;
  }
}

bool proxy_is_down(bool down, Step::Kind kind) {
  return kind == Step::Kind::kill || kind == Step::Kind::stop || (down && kind != Step::Kind::start);
}

Answers carry_out(World& world, Proxy& proxy, const Scenario& scenario) {
  Flows flows(world);
  Answers answers;
  bool down = false;
  for (const auto& step : scenario.steps) {
    answers.emplace_back();
    down = proxy_is_down(down, step.kind);
    if (step.kind == Step::Kind::send) {
      answers.back() = flows.send(step.send, step.may_be_silent());
    } else if (step.kind == Step::Kind::use) {
      answers.back() = flows.use(step.name, step.may_be_silent());
    } else if (step.kind == Step::Kind::stray) {
      flows.stray(step.name);
    } else if (step.kind == Step::Kind::wait) {
      std::this_thread::sleep_for(step.wait);  // A time-out of the proxy's is nothing that could be awaited.
    } else if (down && step.kind == Step::Kind::apply) {
      proxy.apply(step.objects);
    } else if (down && step.kind == Step::Kind::remove) {
      proxy.remove(step.objects);
    } else {
      change(proxy, step);
    }
  }
  return answers;
}

std::vector<json::object> all_objects(const std::vector<const Scenario*>& scenarios) {
  std::vector<json::object> all;
  for (const auto* scenario : scenarios) {
    all.insert(all.end(), scenario->objects.begin(), scenario->objects.end());
  }
  return all;
}

std::vector<json::object> added_later(const std::vector<const Scenario*>& scenarios) {
  std::vector<json::object> all;
  for (const auto* scenario : scenarios) {
    for (const auto& step : scenario->steps) {
      all.insert(all.end(), step.objects.begin(), step.objects.end());
    }
  }
  return all;
}

}  // namespace

std::map<std::string, Answers> run(World& world, Proxy& proxy, const std::vector<const Scenario*>& scenarios) {
  std::vector<const Scenario*> beside, alone;
  std::map<std::string, Answers> answers;
  for (const auto* scenario : scenarios) {
    (scenario->alone ? alone : beside).push_back(scenario);
    answers[scenario->id()];
  }
  proxy.apply(all_objects(scenarios));
  proxy.start();
  std::atomic<size_t> next = 0;
  std::vector<std::jthread> threads;
  for (size_t i = 0; i < std::min(kAtOnce, beside.size()); i++) {
    threads.emplace_back([&] {
      for (size_t mine = next++; mine < beside.size(); mine = next++) {
        answers.at(beside[mine]->id()) = carry_out(world, proxy, *beside[mine]);
      }
    });
  }
  threads.clear();
  for (const auto* scenario : alone) {
    answers.at(scenario->id()) = carry_out(world, proxy, *scenario);
  }
  proxy.remove(all_objects(scenarios));
  proxy.remove(added_later(scenarios));
  proxy.clean_up();
  return answers;
}

void check(const Scenario& scenario, Side side, const Answers& answers) {
  ASSERT_EQ(answers.size(), scenario.steps.size());
  for (size_t i = 0; i < answers.size(); i++) {
    const auto& step = scenario.steps[i];
    if (step.wanted.empty()) {
      continue;
    }
    EXPECT_EQ(answers[i], step.wanted.at(side)) << "step " << i + 1 << ": " << step.text << ", " << to_string(side)
                                                << (step.differs() ? "; listed as a difference: " + step.why : "");
  }
}

}  // namespace keelson::services
