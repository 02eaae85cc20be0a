// SPDX-License-Identifier: Apache-2.0
// The inside of NodePodConfigs, shared by the making of configs (node_pod_configs.cpp) and of files (pod_files.cpp).
#pragma once

#include <fmt/format.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/config/env.h"
#include "agent/config/log_links.h"
#include "agent/config/node_cgroups.h"
#include "agent/config/node_pod_configs.h"
#include "agent/config/pod_cgroups.h"
#include "agent/config/pod_work.h"
#include "agent/config/resources.h"
#include "agent/config/user_ranges.h"
#include "agent/config/volumes.h"

namespace keelson::agent {

inline std::string log_dir_of(const PodConfigOptions& options, const kube::ObjectMeta& pod) {
  return fmt::format("{}/{}_{}_{}", options.pod_logs_dir, pod.ns, pod.name, pod.uid);
}

struct NodePodConfigs::State {
  State(Loop& l, PodConfigOptions o, PodInputs* i, PodStorage* s)
      : loop(l),
        options(std::move(o)),
        node(std::make_shared<const NodeFacts>(options.node)),
        inputs(i),
        storage(s),
        volumes(options.root, options.volume_stats),
        cgroups(options.systemd_cgroups ? cgroup::Driver::systemd : cgroup::Driver::cgroupfs, options.cgroup_root),
        links{.folder = options.container_logs_dir, .pod_logs_dir = options.pod_logs_dir},
        users(options.root, options.ids_per_pod),
        pool(2),
        programs(2) {}
  ~State() {
    pool.join();
    programs.join();
  }

  Loop& loop;
  const PodConfigOptions options;
  std::shared_ptr<const NodeFacts> node;  // as it is now
  // Operators of profiles put theirs where the kubelet has them, whatever our root is.
  const std::vector<std::string> seccomp_folders = {options.root + "/seccomp", "/var/lib/kubelet/seccomp"};
  const NodeCgroups node_cgroups = read_node_cgroups(options.quotas, options.memory_rules);
  PodInputs* const inputs;
  PodStorage* const storage;
  const Volumes volumes;
  const PodCgroups cgroups;
  const LogLinks links;
  UserRanges users;
  std::shared_ptr<const kube::DesiredState> objects = std::make_shared<kube::DesiredState>();
  std::map<std::string, kube::Pod> pods;                      // prepared, by uid
  std::map<std::string, std::vector<std::string>> addresses;  // as containers were told, by uid
  PodWorks works;
  std::map<std::string, std::shared_ptr<const TokenMap>> tokens;  // by uid
  std::map<std::string, MountedVolumes> mounted;                  // what `storage` has given, by uid
  std::optional<CredentialPlugins> plugins;
  std::vector<Allotter*> allotters;
  PodRefused refused;
  asio::thread_pool pool;
  asio::thread_pool programs;  // credential providers, which may take a minute

  std::string container_dir(const std::string& uid, const std::string& container) const {
    return volumes.pod_dir(uid) + "/containers/" + container;
  }
  std::string message_file(const std::string& uid, const std::string& container, uint32_t attempt) const {
    return fmt::format("{}/{}", container_dir(uid, container), attempt);
  }

  /// The pod's user namespace, if it is to have one.
  Result<std::optional<cri::IdMapping>> users_of(const kube::Pod& pod) const;
  /// Where a volume of the pod is, and how it may be used.
  Result<MountedVolume> volume_of(const kube::Pod& pod, const std::string& name,
                                  const kube::Container& container) const;
  Task<> mount_storage(kube::Pod pod);
  Task<> allot(kube::Pod pod);
  std::set<std::string> own_cpus_of(const kube::Pod& pod) const;
  PodCgroupLimits limits_of_pod(const kube::Pod& pod) const;
  cri::LinuxResources resources_of(const kube::Pod& pod, const kube::Container& container) const;
  void add_allotments(const kube::Pod& pod, const kube::Container& container, cri::ContainerConfig& out) const;
  Result<std::string> sub_path_of(const kube::VolumeMount& wanted, const Environment& env) const;
  Result<cri::Mount> mount_of(const ContainerOrder& order, const kube::Container& container, size_t number,
                              const Environment& env) const;
  Result<> add_mounts(const ContainerOrder& order, const kube::Container& container, const Environment& env,
                      cri::ContainerConfig& out) const;
  Result<> add_devices(const kube::Pod& pod, const kube::Container& container, cri::ContainerConfig& out) const;
  Result<> add_files(const ContainerOrder& order, const kube::Container& container, cri::ContainerConfig& out) const;
  void refresh_volumes(const kube::Pod& pod);
  void share_cpu();
  void forget(const std::string& uid);
  Task<> take_away(std::string uid, std::function<Result<>()> work);
};

}  // namespace keelson::agent
