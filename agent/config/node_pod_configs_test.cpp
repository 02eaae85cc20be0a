// SPDX-License-Identifier: Apache-2.0
// A pod made and cleaned up on a real node, below folders and cgroups of the test's own.
#include "agent/config/node_pod_configs.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "common/atomic_file.h"
#include "common/cgroup/tree.h"
#include "common/fd.h"
#include "common/task_group.h"

namespace keelson::agent {
namespace {

namespace fs = std::filesystem;

bool unified() {
  return fs::exists("/sys/fs/cgroup/cgroup.controllers");
}

std::string cgroup_value(const std::string& path, const std::string& controller, const std::string& file) {
  auto text = read_file("/sys/fs/cgroup" + (unified() ? "" : "/" + controller) + path + "/" + file).value_or("none\n");
  return text.substr(0, text.find('\n'));
}

class NodePodConfigsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  }
  NodePodConfigsTest() {
    pod.metadata = {.name = "web", .ns = "shop", .uid = "u1"};
    pod.spec.containers.emplace_back();
    pod.spec.containers[0].name = "main";
    for (const char* name : {"config", "secret", "scratch"}) {
      pod.spec.volumes.emplace_back();
      pod.spec.volumes.back().name = name;
      pod.spec.containers[0].volume_mounts.push_back({.name = name, .mount_path = std::string("/") + name});
    }
    pod.spec.volumes[0].config_map = kube::KeyedVolume{.name = "c"};
    pod.spec.volumes[1].secret = kube::KeyedVolume{.name = "s"};
    pod.spec.volumes[2].empty_dir = kube::EmptyDirVolume{};
    objects.config_maps["shop/c"].data = {{"key", "0"}};
    objects.secrets["shop/s"].data = {{"key", "0"}};
    start();
  }
  ~NodePodConfigsTest() override {
    EXPECT_TRUE(run(configs->clean_up(pod)));
    configs->remove_empty_roots();
    EXPECT_EQ(cgroup_value(root, "cpu", "cgroup.procs"), "none");
    configs.reset();
    fs::remove_all(dir);
  }

  void start() {
    configs.reset();
    configs = std::make_unique<NodePodConfigs>(loop, options);
    configs->objects_changed(objects);
  }
  Task<> then_stop(Task<> task, Result<>* out) {
    *out = co_await std::move(task);
    loop.stop();
    co_return Result<>();
  }
  Result<> run(Task<> task) {
    Result<> out = fail(Kind::internal, "did not run");
    TaskGroup group(loop);
    group.spawn("test", then_stop(std::move(task), &out));
    loop.io().restart();
    loop.run();
    loop.io().restart();
    loop.io().poll();  // one that never waited ends only now: nobody is to cancel it
    return out;
  }
  ContainerOrder order() { return {.pod = pod, .name = "main", .pod_ips = {"192.0.2.7"}}; }
  size_t mounts() {
    std::istringstream table(read_file("/proc/self/mountinfo").value());
    size_t count = 0;
    for (std::string line; std::getline(table, line);) {
      count += line.find(dir) == std::string::npos ? 0 : 1;
    }
    return count;
  }
  static std::string make_dir() {
    std::string pattern = ::testing::TempDir() + "keelson-configs-XXXXXX";
    return ::mkdtemp(pattern.data());
  }

  const std::string dir = make_dir();
  const std::string root = "/" + fs::path(dir).filename().string();
  PodConfigOptions options{.root = dir + "/state",
                           .pod_logs_dir = dir + "/pods",
                           .container_logs_dir = dir + "/containers",
                           .cgroup_root = root};
  Loop loop{real_clock(), "test"};
  std::unique_ptr<NodePodConfigs> configs;
  kube::Pod pod;
  kube::DesiredState objects;
};

TEST_F(NodePodConfigsTest, NothingOfAPodIsLeft) {
  pod.spec.containers[0].volume_mounts[2].sub_path = "a/b";
  ASSERT_TRUE(run(configs->prepare(pod)));
  ASSERT_TRUE(configs->container(order()));
  EXPECT_EQ(mounts(), 2U);
  configs->container_created(order(), "id1");
  ASSERT_TRUE(make_directories(dir + "/containers"));
  fs::create_symlink("/nowhere_u1/x.log", dir + "/containers/foreign.log");
  EXPECT_EQ(fs::read_symlink(dir + "/containers/web_shop_main-id1.log"), dir + "/pods/shop_web_u1/main/0.log");
  configs->container_removed("id2");
  EXPECT_TRUE(fs::is_symlink(dir + "/containers/web_shop_main-id1.log"));
  configs->container_removed("id1");
  EXPECT_FALSE(fs::is_symlink(dir + "/containers/web_shop_main-id1.log"));
  configs->container_created(order(), "id1");
  ASSERT_TRUE(run(configs->clean_up(pod)));
  EXPECT_EQ(mounts(), 0U);
  EXPECT_TRUE(configs->prepared().value().empty());
  EXPECT_TRUE(fs::is_empty(dir + "/pods"));
  EXPECT_FALSE(fs::is_symlink(dir + "/containers/web_shop_main-id1.log"));
  EXPECT_TRUE(fs::is_symlink(dir + "/containers/foreign.log"));
  EXPECT_EQ(cgroup_value(root + "/kubepods/besteffort/podu1", "cpu", "cgroup.procs"), "none");
}

TEST_F(NodePodConfigsTest, VolumesAreCountedFromWhenThePodIsToHaveThemUntilTheyHaveGone) {
  const auto count = [this](const std::string& state) {
    Stats stats;
    configs->collect(stats);
    double all = 0;
    const auto family = stats.families().find("volume_manager_total_volumes");
    for (const auto& row : family == stats.families().end() ? std::vector<StatSample>() : family->second.samples) {
      all += row.labels.at(1).second == state + "_state_of_world" ? row.value : 0;
    }
    return all;
  };
  const auto secret = objects.secrets.extract("shop/s");
  configs->objects_changed(objects);
  EXPECT_FALSE(run(configs->prepare(pod)));
  EXPECT_EQ(count("desired"), 3);
  EXPECT_EQ(count("actual"), 1) << "the ConfigMap's, and nothing behind the secret that is not there";
  objects.secrets["shop/s"] = secret.mapped();
  configs->objects_changed(objects);
  ASSERT_TRUE(run(configs->prepare(pod)));
  EXPECT_EQ(count("desired"), 3);
  EXPECT_EQ(count("actual"), 3);
  ASSERT_TRUE(run(configs->release(pod)));
  EXPECT_EQ(count("desired"), 0);
  EXPECT_EQ(count("actual"), 0);
}

TEST_F(NodePodConfigsTest, ARefreshThatWasQueuedMakesNothingAnew) {
  for (int i = 1; i <= 50; ++i) {
    ASSERT_TRUE(run(configs->prepare(pod)));
    for (int j = 0; j < 4; ++j) {
      objects.secrets["shop/s"].data["key"] = fmt::format("{} {}", i, j);
      configs->objects_changed(objects);
    }
    ASSERT_TRUE(run(configs->clean_up(pod)));
    // The last pod's turn comes after all that was queued.
    ASSERT_TRUE(configs->prepared().value().empty());
    ASSERT_EQ(mounts(), 0U);
  }
}

TEST_F(NodePodConfigsTest, AChangeReachesAPreparedPod) {
  ASSERT_TRUE(run(configs->prepare(pod)));
  auto made = configs->container(order()).value();
  objects.config_maps["shop/c"].data["key"] = "1";
  configs->objects_changed(objects);
  start();  // awaits what the old ones have queued
  EXPECT_EQ(read_file(made.mounts[0].host_path + "/key").value(), "1");
}

TEST_F(NodePodConfigsTest, APodThatHasEndedKeepsWhatItHad) {
  ASSERT_TRUE(run(configs->prepare(pod)));
  auto made = configs->container(order()).value();
  objects.pods["shop/web"] = pod;
  objects.pods["shop/web"].status.phase = kube::PodPhase::succeeded;
  objects.config_maps["shop/c"].data["key"] = "1";
  configs->objects_changed(objects);
  start();
  EXPECT_EQ(read_file(made.mounts[0].host_path + "/key").value(), "0");
}

TEST_F(NodePodConfigsTest, ObjectVolumesAreReadOnly) {
  ASSERT_TRUE(run(configs->prepare(pod)));
  auto made = configs->container(order()).value();
  EXPECT_TRUE(made.mounts[0].read_only);
  EXPECT_TRUE(made.mounts[1].read_only);
  EXPECT_FALSE(made.mounts[2].read_only);
}

TEST_F(NodePodConfigsTest, AUserNamespaceIsTheSameEverywhere) {
  EXPECT_FALSE(configs->sandbox(pod, 0)->security.namespaces.users);
  pod.spec.host_users = false;
  EXPECT_EQ(configs->sandbox(pod, 0).error().kind(), Kind::conflict) << "never the node's";
  ASSERT_TRUE(run(configs->prepare(pod)));
  const auto sandbox = configs->sandbox(pod, 0).value().security.namespaces.users;
  ASSERT_TRUE(sandbox);
  EXPECT_EQ(sandbox->host, 65536U);
  EXPECT_EQ(sandbox->length, 65536U);
  const auto made = configs->container(order()).value();
  ASSERT_TRUE(made.security.namespaces.users);
  EXPECT_EQ(made.security.namespaces.users->host, sandbox->host);
  for (const auto& mount : made.mounts) {
    ASSERT_TRUE(mount.users) << mount.container_path;
    EXPECT_EQ(mount.users->host, sandbox->host) << mount.container_path;
  }
  ASSERT_TRUE(run(configs->clean_up(pod)));
  EXPECT_FALSE(configs->sandbox(pod, 0)) << "the range is free again";
}

TEST_F(NodePodConfigsTest, ASubPathExpressionNeedsItsVariables) {
  auto& container = pod.spec.containers[0];
  container.volume_mounts[2].sub_path_expr = "$(A)/$(B)-$(C)";
  container.env = {{.name = "A", .value = "a"}};
  ASSERT_TRUE(run(configs->prepare(pod)));
  auto made = configs->container(order());
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().kind(), Kind::invalid);
  EXPECT_EQ(made.error().message(), "missing value for \"B\", \"C\"");
  container.env.push_back({.name = "B", .value = "b"});
  container.env.push_back({.name = "C", .value = "c"});
  made = configs->container(order());
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_TRUE(fs::is_directory(dir + "/state/pods/u1/volumes/kubernetes.io~empty-dir/scratch/a/b-c"));
  container.env[0].value = "..";
  EXPECT_EQ(configs->container(order()).error().message(),
            "unable to provision SubPath `../b-c`: must not contain '..'");
}

TEST_F(NodePodConfigsTest, AVolumeThatNoContainerHasIsPassedOver) {
  pod.spec.volumes.emplace_back().name = "unused";
  pod.spec.volumes.back().config_map = kube::KeyedVolume{.name = "nowhere"};
  EXPECT_TRUE(run(configs->prepare(pod))) << "nobody waits for it";
  EXPECT_FALSE(fs::exists(dir + "/state/pods/u1/volumes/kubernetes.io~configmap/unused"));
  kube::EphemeralContainer debugger;
  debugger.container.name = "debugger";
  debugger.container.volume_mounts.push_back({.name = "unused", .mount_path = "/unused"});
  pod.spec.ephemeral_containers.push_back(debugger);
  const auto failed = run(configs->prepare(pod));
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message().find("configmap \"nowhere\" not found"), std::string::npos)
      << failed.error().message();
}

TEST_F(NodePodConfigsTest, AnImageVolumeIsTheRuntimesToMount) {
  pod.spec.volumes.emplace_back().name = "pages";
  pod.spec.volumes.back().image = kube::ImageVolume{.reference = "example.com/pages:1"};
  pod.spec.containers[0].volume_mounts.push_back({.name = "pages", .mount_path = "/pages", .sub_path = "a/b"});
  ASSERT_TRUE(run(configs->prepare(pod)));
  EXPECT_EQ(configs->container(order()).error().kind(), Kind::conflict) << "nobody has pulled it";
  auto pulled = order();
  pulled.image_volumes = {{"pages", "sha256:1"}};
  auto config = configs->container(pulled);
  ASSERT_TRUE(config) << config.error().message();
  const auto mount = std::ranges::find(config->mounts, "/pages", &cri::Mount::container_path);
  ASSERT_NE(mount, config->mounts.end());
  EXPECT_EQ(mount->image, "sha256:1");
  EXPECT_EQ(mount->user_specified_image, "example.com/pages:1");
  EXPECT_EQ(mount->image_sub_path, "a/b");
  EXPECT_EQ(mount->host_path, "");
  EXPECT_TRUE(mount->read_only);
  EXPECT_FALSE(fs::exists(dir + "/state/pods/u1/volume-subpaths/pages"));
}

TEST_F(NodePodConfigsTest, CgroupsHaveTheirValues) {
  auto& resources = pod.spec.containers[0].resources;
  resources.requests = {{"cpu", kube::Quantity::of_milli(500)}, {"memory", kube::Quantity::of(64 << 20)}};
  resources.limits = {{"cpu", kube::Quantity::of(1)}, {"memory", kube::Quantity::of(128 << 20)}};
  ASSERT_TRUE(run(configs->prepare(pod)));
  auto burstable = root + "/kubepods/burstable";
  auto own = burstable + "/podu1";
  kube::Pod idle = pod;
  idle.metadata.uid = "u2";
  idle.spec.volumes.clear();
  idle.spec.containers[0].volume_mounts.clear();
  idle.spec.containers[0].resources = {};
  ASSERT_TRUE(run(configs->prepare(idle)));
  auto best_effort = root + "/kubepods/besteffort";
  if (unified()) {
    EXPECT_EQ(cgroup_value(own, "", "cpu.max"), "100000 100000");
    EXPECT_EQ(cgroup_value(own, "", "memory.max"), "134217728");
    EXPECT_EQ(cgroup_value(burstable, "", "cpu.weight"), cgroup_value(own, "", "cpu.weight"));
    EXPECT_EQ(cgroup_value(best_effort, "", "cpu.weight"), "1");
  } else {
    EXPECT_EQ(cgroup_value(own, "cpu", "cpu.shares"), "512");
    EXPECT_EQ(cgroup_value(own, "cpu", "cpu.cfs_quota_us"), "100000");
    EXPECT_EQ(cgroup_value(own, "memory", "memory.limit_in_bytes"), "134217728");
    EXPECT_EQ(cgroup_value(burstable, "cpu", "cpu.shares"), "512");
    EXPECT_EQ(cgroup_value(best_effort, "cpu", "cpu.shares"), "2");
    EXPECT_EQ(cgroup_value(best_effort + "/podu2", "cpu", "cpu.shares"), "2");
  }
  ASSERT_TRUE(run(configs->clean_up(pod)));
  EXPECT_EQ(cgroup_value(own, "cpu", "cgroup.procs"), "none");
  EXPECT_EQ(cgroup_value(burstable, "cpu", unified() ? "cpu.weight" : "cpu.shares"), unified() ? "1" : "2");
  ASSERT_TRUE(run(configs->clean_up(idle)));
}

TEST_F(NodePodConfigsTest, AllPodsTogetherHaveTheirLimit) {
  ASSERT_TRUE(configs->make_roots());
  const std::string all = root + "/kubepods";
  const cgroup::Limits limits{.cpu_shares = 1536, .memory = 512 << 20, .processes = 1000};
  auto set = run(configs->limit_all(limits));
  ASSERT_TRUE(set) << set.error().message();
  EXPECT_EQ(cgroup_value(all, "memory", unified() ? "memory.max" : "memory.limit_in_bytes"), "536870912");
  EXPECT_EQ(cgroup_value(all, "pids", "pids.max"), "1000");
  EXPECT_EQ(cgroup_value(all, "cpu", unified() ? "cpu.weight" : "cpu.shares"),
            unified() ? std::to_string(cgroup::cpu_weight_of_shares(1536)) : "1536");
  EXPECT_EQ(cgroup_value(all + "/burstable", "pids", "pids.max"), "max") << "the limit is of all of them";
}

TEST_F(NodePodConfigsTest, MoreMemoryThanThereMayBeIsNotTakenAway) {
  if (unified()) {
    GTEST_SKIP() << "SKIP: needs cgroup v1 (v2 kills instead)";
  }
  ASSERT_TRUE(configs->make_roots());
  cgroup::Tree tree = cgroup::Tree::open().value();
  const auto inside = tree.create(root + "/kubepods/u2");
  const pid_t child = ::fork();
  if (child == 0) {
    for (const auto& file : tree.procs_files(root + "/kubepods/u2")) {
      if (!write_value(file, "0")) {
        ::_exit(1);
      }
    }
    const void* held =
        ::mmap(nullptr, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    ::raise(SIGSTOP);
    ::_exit(held == MAP_FAILED ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, WUNTRACED), child);
  ASSERT_TRUE(WIFSTOPPED(status));
  const auto refused = run(configs->limit_all({.memory = 16 << 20}));
  EXPECT_TRUE(!refused && refused.error().kind() == Kind::conflict);
  EXPECT_TRUE(run(configs->limit_all({.memory = 128 << 20})));
  ::kill(child, SIGKILL);
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(tree.kill_and_remove(root + "/kubepods/u2"));
}

TEST_F(NodePodConfigsTest, ACgroupOfOthersIsLimitedIfItIsThere) {
  cgroup::Tree tree = cgroup::Tree::open().value();
  ASSERT_TRUE(tree.create(root + "/system"));
  ASSERT_TRUE(configs->limit_other(root + "/system", {.memory = 256 << 20}));
  EXPECT_EQ(cgroup_value(root + "/system", "memory", unified() ? "memory.max" : "memory.limit_in_bytes"), "268435456");
  ASSERT_TRUE(tree.remove(root + "/system"));
  EXPECT_EQ(configs->limit_other(root + "/system", {.memory = 256 << 20}).error().message(),
            "cgroup " + root + "/system does not exist");
}

TEST_F(NodePodConfigsTest, APodHasAsManyProcessesAsItMay) {
  options.pod_pids_limit = 77;
  start();
  ASSERT_TRUE(run(configs->prepare(pod)));
  EXPECT_EQ(cgroup_value(root + "/kubepods/besteffort/podu1", "pids", "pids.max"), "77");
}

TEST_F(NodePodConfigsTest, NameServersAreThoseOfTheFileThatWasAskedFor) {
  pod.spec.dns_policy = kube::DnsPolicy::default_policy;
  options.resolv_conf = dir + "/resolv.conf";
  start();
  EXPECT_EQ(configs->sandbox(pod, 0).error().kind(), Kind::not_found);
  ASSERT_TRUE(write_file_atomic(options.resolv_conf, "nameserver 192.0.2.53\n", 0644));
  EXPECT_EQ(configs->sandbox(pod, 0).value().dns.servers, std::vector<std::string>{"192.0.2.53"});
  options.resolv_conf = "";
  options.dns.loopback = {"127.0.0.1"};
  start();
  EXPECT_EQ(configs->sandbox(pod, 0).value().dns.servers, std::vector<std::string>{"127.0.0.1"});
}

TEST_F(NodePodConfigsTest, TheSandboxIsToldItsResourcesAndNamesOfSysctlsInOneSpelling) {
  pod.spec.containers[0].resources.limits = {{"memory", kube::Quantity::of(64 << 20)}};
  pod.spec.overhead = {{"memory", kube::Quantity::of(16 << 20)}};
  pod.spec.security_context.sysctls = {{.name = "net/ipv4/conf/eth0.1/forwarding", .value = "1"},
                                       {.name = "net.ipv4.conf.eth0/1.log_martians", .value = "1"}};
  const auto config = configs->sandbox(pod, 0).value();
  EXPECT_EQ(config.resources.memory_limit_bytes, 64 << 20);
  EXPECT_EQ(config.overhead.memory_limit_bytes, 16 << 20);
  EXPECT_EQ(config.sysctls,
            (cri::StringMap{{"net.ipv4.conf.eth0/1.forwarding", "1"}, {"net.ipv4.conf.eth0/1.log_martians", "1"}}));
}

TEST_F(NodePodConfigsTest, AResizedPodsCgroupFollowsInTheRightOrder) {
  auto& limits = pod.spec.containers[0].resources.limits;
  auto limit = [&] {
    return cgroup_value(root + "/kubepods/burstable/podu1", unified() ? "" : "memory",
                        unified() ? "memory.max" : "memory.limit_in_bytes");
  };
  limits = {{"memory", kube::Quantity::of(64 << 20)}};
  pod.spec.containers[0].resources.requests = {{"memory", kube::Quantity::of(1 << 20)}};
  ASSERT_TRUE(run(configs->prepare(pod)));
  EXPECT_EQ(limit(), "67108864");
  limits = {{"memory", kube::Quantity::of(96 << 20)}};
  ASSERT_TRUE(run(configs->resize(pod, Resizing::before_containers)));
  EXPECT_EQ(limit(), "100663296") << "more before the containers get it";
  limits = {{"memory", kube::Quantity::of(32 << 20)}};
  ASSERT_TRUE(run(configs->resize(pod, Resizing::before_containers)));
  EXPECT_EQ(limit(), "100663296") << "less once they have less";
  ASSERT_TRUE(run(configs->resize(pod, Resizing::after_containers)));
  EXPECT_EQ(limit(), "33554432");
}

/// Gives "main" a CPU of its own, and the others the pool.
class OwnCpus : public Allotter {
 public:
  Task<std::optional<AllotmentRefusal>> allot(kube::Pod) override { co_return std::optional<AllotmentRefusal>(); }
  ContainerAllotment of(const kube::Pod&, const std::string& container) const override {
    return {.cpus = container == "main" ? "1" : "0,2", .own_cpus = container == "main"};
  }
  void release(const std::string& uid) override { released = uid; }
  std::string released;
};

TEST_F(NodePodConfigsTest, NoQuotaHoldsWhoHasItsOwnCpusNorItsPod) {
  for (auto* list : {&pod.spec.containers[0].resources.requests, &pod.spec.containers[0].resources.limits}) {
    *list = {{"cpu", kube::Quantity::of(1)}, {"memory", kube::Quantity::of(64 << 20)}};
  }
  pod.spec.containers.push_back(pod.spec.containers[0]);
  pod.spec.containers[1].name = "side";
  const auto quota = [&] {
    return cgroup_value(root + "/kubepods/podu1", unified() ? "" : "cpu", unified() ? "cpu.max" : "cpu.cfs_quota_us");
  };
  ASSERT_TRUE(run(configs->prepare(pod)));
  EXPECT_EQ(quota(), unified() ? "200000 100000" : "200000");
  EXPECT_EQ(configs->sandbox(pod, 0)->resources.cpu_quota, 200'000);
  OwnCpus cpus;
  start();
  configs->use_allotters({&cpus}, {});
  ASSERT_TRUE(run(configs->prepare(pod)));
  EXPECT_EQ(quota(), unified() ? "max 100000" : "-1") << "one that it had goes";
  EXPECT_EQ(configs->sandbox(pod, 0)->resources.cpu_quota, -1);
  EXPECT_EQ(configs->own_cpus(pod), std::set<std::string>{"main"});
  const auto own = configs->resources(pod, "main").value();
  EXPECT_EQ(own.cpuset_cpus, "1");
  EXPECT_EQ(own.cpu_quota, -1);
  EXPECT_EQ(own.cpu_shares, 1024);
  const auto pooled = configs->resources(pod, "side").value();
  EXPECT_EQ(pooled.cpuset_cpus, "0,2");
  EXPECT_EQ(pooled.cpu_quota, 100'000);
  EXPECT_EQ(configs->container(order())->resources.cpuset_cpus, "1");
  ASSERT_TRUE(run(configs->resize(pod, Resizing::after_containers)));
  EXPECT_EQ(quota(), unified() ? "max 100000" : "-1");
  ASSERT_TRUE(run(configs->clean_up(pod)));
  EXPECT_EQ(cpus.released, "u1");
  start();
}

/// An API server that is slow: what the environment is made of has not been read yet.
class SlowInputs : public PodInputs {
 public:
  Task<TokenMap> provide(kube::Pod) override { co_return TokenMap(); }
  Result<> check_environment(const kube::Pod&, const kube::Container& container) const override {
    return known ? Result<>() : fail(Kind::invalid, "nothing is known for {}", container.name);
  }
  Task<ServiceAccount> service_account(kube::Pod) override { co_return fail(Kind::unavailable, "slow"); }
  Task<std::string> service_account_token(kube::Pod, std::string, std::string) override {
    co_return fail(Kind::unavailable, "slow");
  }
  void forget(const std::string&) override {}
  bool known = false;
};

TEST_F(NodePodConfigsTest, NoContainerHasAnEnvironmentOfWhatIsNotKnownYet) {
  SlowInputs inputs;
  NodePodConfigs slow(loop, {.root = dir + "/state", .pod_logs_dir = dir + "/pods", .cgroup_root = root}, &inputs);
  slow.objects_changed(objects);
  ASSERT_TRUE(run(slow.prepare(pod)));
  const auto refused = slow.container(order());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), Kind::invalid);
  EXPECT_EQ(refused.error().message(), "nothing is known for main");
  inputs.known = true;
  EXPECT_TRUE(slow.container(order()));
}

TEST_F(NodePodConfigsTest, ARuntimeClassNamesAHandler) {
  EXPECT_EQ(configs->handler(pod).value(), "");
  pod.spec.runtime_class_name = "sandboxed";
  EXPECT_EQ(configs->handler(pod).value(), "sandboxed") << "there is no such class";
  objects.runtime_classes["sandboxed"].handler = "runsc";
  configs->objects_changed(objects);
  EXPECT_EQ(configs->handler(pod).value(), "runsc");
}

}  // namespace
}  // namespace keelson::agent
