// SPDX-License-Identifier: Apache-2.0
// pod_cgroups.h over common/cgroup.
#include "agent/config/pod_cgroups.h"

#include <algorithm>

namespace keelson::agent {

namespace {

constexpr int64_t kLeastShares = 2;
constexpr auto kPassOver = cgroup::Missing::passed_over;

cgroup::Limits share(int64_t cpu_shares) {
  return {.cpu_shares = std::max(cpu_shares, kLeastShares)};
}

}  // namespace

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
  if (!tree_) {
    return std::unexpected(tree_.error());
  }
  for (const char* name : {"kubepods", "kubepods/burstable", "kubepods/besteffort"}) {
    KEELSON_DO(tree_->create(path({name})));
  }
  return {};
}

Result<> PodCgroups::create(const kube::Pod& pod, const PodLimits& limits) const {
  if (!tree_) {
    return std::unexpected(tree_.error());
  }
  auto wanted = share(limits.cpu_shares);
  wanted.cpu_quota = limits.cpu_quota > 0 ? limits.cpu_quota : -1;
  wanted.cpu_period = kCpuPeriod;
  wanted.memory = limits.memory_limit > 0 ? limits.memory_limit : -1;
  wanted.huge_pages = limits.huge_pages;
  KEELSON_DO(tree_->create(pod_cgroup(driver_, root_, pod), wanted, kPassOver));
  return kube::qos_class(pod) == kube::QosClass::best_effort
             ? tree_->apply(path({"kubepods", "besteffort"}), share(kLeastShares), kPassOver)
             : Result<>();
}

Result<> PodCgroups::resize(const kube::Pod& pod, const PodLimits& limits, Resizing when) const {
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
  return grows || when == Resizing::after_containers ? create(pod, limits) : Result<>();
}

Result<> PodCgroups::set_burstable(int64_t cpu_shares) const {
  if (!tree_) {
    return std::unexpected(tree_.error());
  }
  return tree_->apply(path({"kubepods", "burstable"}), share(cpu_shares), kPassOver);
}

Result<> PodCgroups::remove(const std::string& uid) const {
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
