// SPDX-License-Identifier: Apache-2.0
// pod_cgroups.h over common/cgroup.
#include "agent/config/pod_cgroups.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>

namespace keelson::agent {

namespace {

constexpr int64_t kLeastShares = 2;
constexpr auto kPassOver = cgroup::Missing::passed_over;

cgroup::Limits share(int64_t cpu_shares) {
  return {.cpu_shares = std::max(cpu_shares, kLeastShares)};
}

}  // namespace

/// Counts, when it goes, how long it was there.
class PodCgroups::Timed {
 public:
  Timed(const PodCgroups& owner, const char* operation)
      : owner_(owner), operation_(operation), began_(std::chrono::steady_clock::now()) {}
  ~Timed() {
    const std::lock_guard guard(owner_.mutex_);
    owner_.durations_.observe({{"operation_type", operation_}}, std::chrono::steady_clock::now() - began_);
  }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  const PodCgroups& owner_;
  const char* const operation_;
  const std::chrono::steady_clock::time_point began_;
};

void PodCgroups::collect(Stats& stats) const {
  const std::lock_guard guard(mutex_);
  durations_.collect(stats, "kubelet_cgroup_manager_duration_seconds",
                     "[ALPHA] Duration in seconds for cgroup manager operations. Broken down by method.");
}

PodCgroups::PodCgroups(cgroup::Driver driver, std::string root)
    : driver_(driver), root_(std::move(root)), tree_(cgroup::Tree::open(driver)) {
  if (!tree_ && driver == cgroup::Driver::cgroupfs) {
    tree_ = cgroup::Tree({});
  }
}

std::string PodCgroups::path(std::initializer_list<std::string_view> below) const {
  std::string names = root_;
  for (const auto name : below) {
    names.append("/").append(name);
  }
  return cgroup::nested_path(driver_, {names});
}

std::string PodCgroups::parent_of(const kube::Pod& pod) const {
  const auto own = pod_cgroup(driver_, root_, pod);
  return driver_ == cgroup::Driver::systemd ? cgroup::unit_of(own) : own;
}

Result<> PodCgroups::create_root() const {
  const Timed timed(*this, "create");
  if (!tree_) {
    return std::unexpected(tree_.error());
  }
  for (const char* name : {"kubepods", "kubepods/burstable", "kubepods/besteffort"}) {
    KEELSON_DO(tree_->create(path({name})));
  }
  return {};
}

Result<> PodCgroups::limit_all(const cgroup::Limits& limits) const {
  if (!tree_) {
    return std::unexpected(tree_.error());
  }
  return tree_->apply(path({"kubepods"}), limits, kPassOver);
}

Result<> PodCgroups::limit_other(const std::string& name, const cgroup::Limits& limits) const {
  if (!tree_) {
    return std::unexpected(tree_.error());
  }
  const auto path = name.starts_with('/') ? name : "/" + name;
  const auto files = tree_->procs_files(path);
  if (std::ranges::none_of(files, [](const auto& file) { return ::access(file.c_str(), F_OK) == 0; })) {
    return fail(Kind::not_found, "cgroup {} does not exist", path);
  }
  return tree_->apply(path, limits, kPassOver);
}

Result<> PodCgroups::create(const kube::Pod& pod, const PodCgroupLimits& limits) const {
  const Timed timed(*this, "create");
  return set(pod, limits);
}

Result<> PodCgroups::set(const kube::Pod& pod, const PodCgroupLimits& limits) const {
  if (!tree_) {
    return std::unexpected(tree_.error());
  }
  auto wanted = share(limits.cpu_shares);
  wanted.cpu_quota = limits.cpu_quota > 0 ? limits.cpu_quota : -1;
  wanted.cpu_period = limits.cpu_period;
  wanted.memory = limits.memory_limit > 0 ? limits.memory_limit : -1;
  wanted.processes = limits.processes;
  wanted.huge_pages = limits.huge_pages;
  KEELSON_DO(tree_->create(pod_cgroup(driver_, root_, pod), wanted, kPassOver));
  return kube::qos_class(pod) == kube::QosClass::best_effort
             ? tree_->apply(path({"kubepods", "besteffort"}), share(kLeastShares), kPassOver)
             : Result<>();
}

Result<> PodCgroups::resize(const kube::Pod& pod, const PodCgroupLimits& limits, Resizing when) const {
  const Timed timed(*this, "update");
  if (!tree_) {
    return std::unexpected(tree_.error());
  }
  const auto usage = tree_->usage(pod_cgroup(driver_, root_, pod));
  const auto wanted = static_cast<uint64_t>(limits.memory_limit);
  const bool grows = wanted == 0 || (usage.memory_limit != 0 && wanted >= usage.memory_limit);
  if (!grows && usage.working_set >= wanted) {
    return fail(Kind::conflict, "attempting to set pod memory limit ({}) below current usage ({})", wanted,
                usage.working_set);
  }
  return grows || when == Resizing::after_containers ? set(pod, limits) : Result<>();
}

Result<> PodCgroups::set_burstable(int64_t cpu_shares) const {
  const Timed timed(*this, "update");
  if (!tree_) {
    return std::unexpected(tree_.error());
  }
  return tree_->apply(path({"kubepods", "burstable"}), share(cpu_shares), kPassOver);
}

Result<> PodCgroups::remove(const std::string& uid) const {
  const Timed timed(*this, "destroy");
  if (!tree_) {
    return std::unexpected(tree_.error());
  }
  for (const char* qos : {"kubepods", "kubepods/burstable", "kubepods/besteffort"}) {
    KEELSON_DO(tree_->kill_and_remove(path({qos, "pod" + uid})));
  }
  return {};
}

void PodCgroups::remove_root() const {
  if (!tree_) {
    return;
  }
  for (const char* name : {"kubepods/burstable", "kubepods/besteffort", "kubepods", ""}) {
    if (const auto own = path({name}); !own.empty()) {
      tree_->remove_if_empty(own);
    }
  }
}

}  // namespace keelson::agent
