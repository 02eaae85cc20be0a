// SPDX-License-Identifier: Apache-2.0
// The CPU manager over a runtime of a few containers: who is sent where, and what survives a restart.
#include "agent/cpus/cpu_manager.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "agent/cpus/test_machines.h"
#include "agent/cpus/test_pods.h"
#include "agent/fake_runtime_client.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/task_group.h"

namespace keelson::cpus {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Runtime : public agent::FakeRuntimeClient {
 public:
  Task<std::vector<cri::ContainerStatus>> list_containers(cri::ListFilter, Duration) override {
    if (away) {
      co_return fail(Kind::unavailable, "no runtime");
    }
    auto list = containers;
    for (auto& status : list) {
      status.resources.reset();  // as CRI has it: they are in the status alone
    }
    co_return list;
  }
  Task<cri::ContainerStatus> container_status(std::string id, Duration) override {
    for (const auto& status : containers) {
      if (status.id == id) {
        co_return status;
      }
    }
    co_return fail(Kind::not_found, "no container {}", id);
  }
  Task<> update_container_resources(std::string id, cri::LinuxResources resources, Duration) override {
    if (id == stuck) {
      co_return fail(Kind::internal, "it does not move");
    }
    EXPECT_EQ(resources.cpu_quota, 0) << "all else stays as it is";
    updates.push_back(id + " " + resources.cpuset_cpus);
    co_return Result<>();
  }

  std::vector<std::string> take_updates() { return std::exchange(updates, {}); }

  std::vector<cri::ContainerStatus> containers;
  std::vector<std::string> updates;
  std::string stuck;
  bool away = false;
};

// A machine of 4 cores without threads; CPU 0 is reserved.
class CpuManagerTest : public ::testing::Test {
 protected:
  CpuManagerTest() {
    log::set_level(log::Level::off);
    char path[] = "/tmp/keelson-cpus-XXXXXX";
    options_ = {.root = ::mkdtemp(path), .policy = "static", .reserved = CpuSet({0})};
    restart();
  }
  ~CpuManagerTest() override { fs::remove_all(options_.root); }

  static Topology four() {
    return machine(4, [](int cpu) { return CpuPlace{.core = cpu}; });
  }
  void restart() {
    manager_.reset();
    manager_ = CpuManager::make(loop_, runtime_, four(), options_).value();
    want(wanted_);
  }
  std::string refused(CpuManagerOptions options) {
    options.root = options_.root;
    const auto made = CpuManager::make(loop_, runtime_, four(), std::move(options));
    return made ? "accepted" : made.error().message();
  }

  void want(std::vector<kube::Pod> pods, bool complete = true) {
    wanted_ = std::move(pods);
    kube::DesiredState state;
    state.complete = complete;
    for (const auto& pod : wanted_) {
      state.pods[kube::full_name(pod.metadata)] = pod;
    }
    manager_->objects_changed(state);
  }
  void runs(const std::string& uid, const std::string& cpus = "", const std::string& name = "main") {
    auto& status = runtime_.containers.emplace_back();
    status.id = uid + "-" + name;
    status.state = cri::ContainerState::running;
    status.labels = {{"io.kubernetes.pod.uid", uid}, {"io.kubernetes.container.name", name}};
    status.resources.emplace().cpuset_cpus = cpus;
  }
  void gone(const std::string& uid) {
    std::erase_if(runtime_.containers,
                  [&](const auto& status) { return status.labels.at("io.kubernetes.pod.uid") == uid; });
  }

  template <class T>
  static Task<> keep(Task<T> task, std::optional<Result<T>>* answer) {
    *answer = co_await std::move(task);
    co_return Result<>();
  }
  template <class T>
  Result<T> done(Task<T> task) {
    std::optional<Result<T>> answer;
    tasks_.spawn("test", keep(std::move(task), &answer));
    loop_.run_until_idle();
    return answer ? std::move(*answer) : Result<T>(fail(Kind::timeout, "it waits"));
  }
  /// The CPUs of the pod's main container, or why it has none.
  std::string allot(const kube::Pod& pod) {
    const auto refusal = done(manager_->allot(pod));
    if (!refusal) {
      return refusal.error().message();
    }
    return *refusal ? (*refusal)->reason : manager_->cpus_of(pod.metadata.uid, "main").to_string();
  }
  std::vector<std::string> reconcile() {
    EXPECT_TRUE(done(manager_->reconcile()));
    return runtime_.take_updates();
  }
  std::string file() const { return read_file(options_.root + "/cpu_manager_state").value_or("none"); }
  void write(const std::string& text) const { std::ofstream(options_.root + "/cpu_manager_state") << text; }

  CpuManagerOptions options_;
  FakeClock clock_;
  Loop loop_{clock_, "test"};
  Runtime runtime_;
  std::vector<kube::Pod> wanted_;
  std::unique_ptr<CpuManager> manager_;
  TaskGroup tasks_{loop_};
};

TEST_F(CpuManagerTest, SettingsAreRefusedInTheKubeletsWords) {
  EXPECT_EQ(refused({.policy = "dynamic"}), "cpuManagerPolicy: unknown policy: \"dynamic\"");
  EXPECT_EQ(
      refused({.policy = "static"}),
      "cpuManagerPolicy: static: [cpumanager] the static policy requires systemreserved.cpu + kubereserved.cpu to "
      "be greater than zero");
  EXPECT_EQ(refused({.reserved = CpuSet({0, 4})}),
            "reservedSystemCPUs: reserved-cpus: 0,4 is not a subset of online-cpus: 0-3");
  EXPECT_EQ(refused({.policy_options = {{"full-pcpus-only", "true"}}}),
            "cpuManagerPolicyOptions: new none policy error: None policy: received unsupported "
            "options=map[full-pcpus-only:true]");
  EXPECT_EQ(refused({.policy = "static", .policy_options = {{"x", "true"}}, .reserved_milli = 1}),
            "cpuManagerPolicyOptions: new static policy error: unknown CPU Manager Policy option: \"x\"");
  EXPECT_EQ(refused({.policy = "static", .reserved_milli = 1001}), "accepted") << "two, then";
  EXPECT_EQ(refused({.policy = "static", .reserved_milli = std::numeric_limits<int64_t>::max()}),
            "cpuManagerPolicy: static: [cpumanager] unable to reserve the required amount of CPUs (size of  did not "
            "equal 8192)");
}

TEST_F(CpuManagerTest, WhoHasItsOwnHasNoQuotaAndTheOthersShare) {
  const auto own = pod_of("own", "2");
  const auto other = pod_of("other", "500m");
  EXPECT_EQ(allot(own), "1-2");
  EXPECT_EQ(allot(other), "");
  EXPECT_EQ(manager_->of(own, "main").cpus, "1-2");
  EXPECT_TRUE(manager_->of(own, "main").own_cpus);
  EXPECT_EQ(manager_->of(other, "main").cpus, "0,3");
  EXPECT_FALSE(manager_->of(other, "main").own_cpus);
  EXPECT_EQ(manager_->allocatable_cpus(), CpuSet({1, 2, 3}));
  EXPECT_EQ(allot(pod_of("third", "2")), "UnexpectedAdmissionError");
  EXPECT_EQ(parse_state(file())->own, (Assignments{{"own", {{"main", CpuSet({1, 2})}}}})) << "on disk at once";
  manager_->release("own");
  EXPECT_EQ(manager_->of(other, "main").cpus, "0-3");
  EXPECT_EQ(parse_state(file())->own, Assignments());
}

TEST_F(CpuManagerTest, WhatRunsFollowsThePool) {
  const auto own = pod_of("own", "2");
  want({own, pod_of("other", "500m")});
  runs("other");
  runs("", "", "of somebody else");
  EXPECT_THAT(reconcile(), ElementsAre("other-main 0-3")) << "what it was made with is not known";
  EXPECT_THAT(reconcile(), IsEmpty());
  ASSERT_EQ(allot(own), "1-2");
  runs("own");
  EXPECT_THAT(reconcile(), ElementsAre("other-main 0,3", "own-main 1-2"));
  EXPECT_THAT(reconcile(), IsEmpty());
  manager_->release("own");
  gone("own");
  EXPECT_THAT(reconcile(), ElementsAre("other-main 0-3"));
}

TEST_F(CpuManagerTest, WhoWasNotReachedIsTriedAgain) {
  runs("a");
  runs("b");
  runtime_.stuck = "a-main";
  EXPECT_THAT(reconcile(), ElementsAre("b-main 0-3"));
  EXPECT_THAT(reconcile(), IsEmpty());
  runtime_.stuck = "";
  EXPECT_THAT(reconcile(), ElementsAre("a-main 0-3"));
}

TEST_F(CpuManagerTest, AChangeIsFollowedAtOnceAndAllElseEachPeriod) {
  const auto own = pod_of("own", "1");
  want({own});
  tasks_.spawn("run", manager_->run());
  loop_.run_until_idle();
  runs("other");
  loop_.advance(clock_, std::chrono::seconds(9));
  EXPECT_THAT(runtime_.take_updates(), IsEmpty());
  loop_.advance(clock_, std::chrono::seconds(1));
  EXPECT_THAT(runtime_.take_updates(), ElementsAre("other-main 0-3"));
  ASSERT_EQ(allot(own), "1");
  EXPECT_THAT(runtime_.take_updates(), ElementsAre("other-main 0,2-3")) << "no time has passed";
  tasks_.cancel();
  loop_.run_until_idle();
}

TEST_F(CpuManagerTest, ARestartKeepsWhatIsGiven) {
  const auto own = pod_of("own", "2");
  want({own});
  ASSERT_EQ(allot(own), "1-2");
  restart();
  EXPECT_EQ(manager_->of(own, "main").cpus, "1-2") << "before it is asked for";
  runtime_.away = true;
  EXPECT_EQ(allot(own), "1-2") << "nor is the runtime needed";
  EXPECT_EQ(allot(pod_of("next", "1")), "3");
}

TEST_F(CpuManagerTest, ACorruptStateIsMadeAnewOfWhatRuns) {
  const auto own = pod_of("own", "2");
  const auto late = pod_of("late", "1");
  want({own, late, pod_of("other", "500m")});
  for (const auto* text : {"", "x", R"({"policyName":"static","defaultCpuSet":"0-3","checksum":7})"}) {
    write(text);
    runtime_.containers.clear();
    runs("own", "2-3");
    runs("other", "0-1");
    restart();
    EXPECT_EQ(parse_state(file())->policy, "static") << "one that can be read";
    EXPECT_EQ(allot(late), "1") << "not what another runs on";
    EXPECT_EQ(allot(own), "2-3");
    EXPECT_THAT(reconcile(), ElementsAre("own-main 2-3", "other-main 0"));
  }
  fs::remove(options_.root + "/cpu_manager_state");
  restart();
  runtime_.away = true;
  EXPECT_EQ(allot(own), "no runtime") << "it is tried again, rather than given what others have";
  runtime_.away = false;
  EXPECT_EQ(allot(own), "2-3");
}

TEST_F(CpuManagerTest, WhatDoesNotFitAnyMoreIsGivenAnew) {
  const auto own = pod_of("own", "1");
  want({own});
  ASSERT_EQ(allot(own), "1");
  options_.reserved = CpuSet({0, 1});
  restart();
  EXPECT_EQ(manager_->cpus_of("own", "main"), CpuSet());
  EXPECT_EQ(allot(own), "2");
  runs("own", "1");
  EXPECT_THAT(reconcile(), ElementsAre("own-main 2"));
}

TEST_F(CpuManagerTest, PodsThatNobodyKnowsLeaveNothing) {
  want({pod_of("own", "1"), pod_of("left", "1")});
  ASSERT_EQ(allot(wanted_[0]), "1");
  ASSERT_EQ(allot(wanted_[1]), "2");
  restart();
  runs("left");
  want({}, false);
  reconcile();
  EXPECT_EQ(manager_->cpus_of("own", "main"), CpuSet({1})) << "not all are known to be unwanted";
  want({}, true);
  reconcile();
  EXPECT_EQ(manager_->cpus_of("own", "main"), CpuSet());
  EXPECT_EQ(manager_->cpus_of("left", "main"), CpuSet({2})) << "it runs";
}

TEST_F(CpuManagerTest, APodThatEndsKeepsItsCpusUntilItHasEnded) {
  want({pod_of("own", "1")});
  ASSERT_EQ(allot(wanted_[0]), "1");
  want({});
  reconcile();  // of a list that is older than its container
  EXPECT_EQ(manager_->cpus_of("own", "main"), CpuSet({1}));
  manager_->release("own");
  EXPECT_EQ(manager_->cpus_of("own", "main"), CpuSet());
}

TEST_F(CpuManagerTest, WhoIsToHaveItsOwnIsNotSentToThePoolBefore) {
  want({pod_of("own", "1")});
  runs("own", "3");
  EXPECT_THAT(reconcile(), IsEmpty());
}

TEST_F(CpuManagerTest, WithoutPolicyNothingIsGivenAndAllCpusComeBack) {
  const auto own = pod_of("own", "2");
  ASSERT_EQ(allot(own), "1-2");
  runs("own", "1-2");
  options_.policy = "none";
  restart();
  EXPECT_EQ(file(), R"({"policyName":"none","defaultCpuSet":"","checksum":1353318690})");
  EXPECT_EQ(allot(own), "");
  EXPECT_EQ(manager_->of(own, "main").cpus, "");
  EXPECT_FALSE(manager_->of(own, "main").own_cpus);
  EXPECT_EQ(manager_->allocatable_cpus(), CpuSet());
  tasks_.spawn("run", manager_->run());
  loop_.run_until_idle();
  EXPECT_THAT(runtime_.take_updates(), ElementsAre("own-main 0-3"));
  EXPECT_EQ(tasks_.count(), 0U) << "there is nothing more to do";
  restart();
  tasks_.spawn("run", manager_->run());
  loop_.run_until_idle();
  EXPECT_THAT(runtime_.take_updates(), IsEmpty());
}

TEST_F(CpuManagerTest, WhatCannotBeWrittenIsNotGiven) {
  const auto own = pod_of("own", "1");
  fs::remove_all(options_.root);
  EXPECT_NE(allot(own), "1");
  EXPECT_EQ(manager_->cpus_of("own", "main"), CpuSet());
  fs::create_directory(options_.root);
  EXPECT_EQ(allot(own), "1");
}

}  // namespace
}  // namespace keelson::cpus
