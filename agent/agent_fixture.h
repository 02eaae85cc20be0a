// SPDX-License-Identifier: Apache-2.0
// For tests: an agent on a small world and a fake clock.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "agent/agent.h"
#include "agent/pod_worker.h"
#include "agent/small_world.h"
#include "common/log.h"
#include "common/task_group.h"

namespace keelson::agent::testing {

using namespace std::chrono_literals;

/// With a container "main", or these.
inline kube::Pod make_pod(const std::string& name, const std::string& uid, std::vector<std::string> mains = {"main"}) {
  kube::Pod pod;
  pod.metadata.name = name;
  pod.metadata.ns = "default";
  pod.metadata.uid = uid;
  for (auto& container : mains) {
    kube::Container c;
    c.name = container;
    c.image = "img";
    c.image_pull_policy = kube::PullPolicy::if_not_present;
    pod.spec.containers.push_back(c);
  }
  return pod;
}

/// Probes whose results a test tells.
struct Probes : ContainerProbes {
  std::map<std::string, std::function<void(ProbeNews)>> watched;  // by instance id
  std::map<std::string, ProbeState> known;
  void watch(const kube::Pod&, const ObservedContainer& instance, const std::string&, ProbeState state,
             std::function<void(ProbeNews)> news) override {
    watched.try_emplace(instance.id, std::move(news));
    known.try_emplace(instance.id, state);
  }
  void pod_ends(const std::string&) override {}
  void forget(const std::string&, const std::string&) override {}
};

/// Want pods by want(), see what the runtime was told in `world`, move time by `loop` and `clock`.
class AgentTest : public ::testing::Test {
 protected:
  AgentTest() { start_agent(); }
  ~AgentTest() override {
    end_agent();
    std::filesystem::remove_all(probe_folder);
  }

  void start_agent() {
    log::set_level(log::Level::off);
    agent = std::make_unique<Agent>(
        loop, AgentOptions{.node_name = "n1", .probe_folder = probe_folder, .node = {.ips = {"192.0.2.1"}}}, world,
        &probes);
    world.changed = [this](const std::string& uid) { agent->runtime_changed(uid); };
    group = std::make_unique<TaskGroup>(loop);
    group->spawn("agent", agent->run());
    loop.run_until_idle();
  }
  /// As kill -9: nothing of the agent's memory survives.
  void end_agent() {
    world.changed = [](const std::string&) {};
    group->spawn("stop", agent->stop(false));
    loop.run_until_idle();
    loop.run_until_idle();
    group.reset();
    agent.reset();
    loop.run_until_idle();
  }
  void want(std::vector<kube::Pod> pods) {
    kube::DesiredState state;
    for (auto& pod : pods) {
      state.pods.emplace(kube::full_name(pod.metadata), pod);
    }
    wanted = state;
    agent->desired(std::move(state));
    loop.advance(clock, 100ms);
  }
  kube::Pod pod(const std::string& name) { return agent->find_pod("default", name).value(); }
  std::vector<std::string> reasons(const std::string& name) {
    std::vector<std::string> found;
    for (const auto& event : agent->events().list("default", name)) {
      found.push_back(event.reason);
    }
    return found;
  }
  size_t count(std::string_view call) {
    return static_cast<size_t>(std::ranges::count_if(world.calls, [&](const auto& c) { return c.starts_with(call); }));
  }

  std::string probe_folder = ::testing::TempDir() + "keelson-probes-" + std::to_string(::getpid());
  FakeClock clock;
  Loop loop{clock, "test"};
  SmallWorld world{loop};
  Probes probes;
  kube::DesiredState wanted;
  std::unique_ptr<Agent> agent;
  std::unique_ptr<TaskGroup> group;
};

}  // namespace keelson::agent::testing
