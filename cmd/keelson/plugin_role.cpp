// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/plugin_role.h"

#include <set>

#include "common/fd.h"

namespace keelson::cli {

namespace {

std::string boot_id() {
  auto text = read_file("/proc/sys/kernel/random/boot_id").value_or("");
  if (text.ends_with('\n')) {
    text.pop_back();
  }
  return text;
}

std::map<std::string, plugins::PluginHandler*> handlers(devices::Devices& devices, storage::Storage* storage) {
  std::map<std::string, plugins::PluginHandler*> by_type = {{"DevicePlugin", &devices}};
  if (storage != nullptr) {
    by_type["CSIPlugin"] = &storage->drivers();
  }
  return by_type;
}

}  // namespace

PluginRole::PluginRole(Loop& loop, const NodeConfig& config, agent::NodeBoard& board, agent::Cluster* cluster,
                       storage::Storage* storage)
    : board_(board),
      cluster_(cluster),
      devices_(loop, {.root = config.root, .boot_id = boot_id(), .changed = [this] { tell(); }}),
      watcher_(loop, config.root + "/plugins_registry", handlers(devices_, storage)) {}

void PluginRole::run(TaskGroup& tasks) {
  tasks.spawn("device plugins", devices_.run());
  tasks.spawn("plugins", watcher_.run());
}

Task<> PluginRole::close() {
  KEELSON_CO_DO(co_await watcher_.close());
  co_return co_await devices_.close();
}

void PluginRole::wanted(const kube::DesiredState& state, agent::NodePodConfigs& configs) {
  if (!state.complete || retained_) {
    return;
  }
  // Of a pod that is not wanted, something may still run: that has a folder, and ends with it.
  const auto prepared = configs.prepared();
  if (!prepared) {
    return;
  }
  std::set<std::string> uids(prepared->begin(), prepared->end());
  for (const auto& [name, pod] : state.pods) {
    uids.insert(pod.metadata.uid);
  }
  retained_ = true;
  devices_.retain(uids);
}

void PluginRole::tell() {
  board_.tell_devices(devices_.totals());
  if (cluster_ != nullptr) {
    cluster_->allotted_are(devices_.resources());
  }
}

}  // namespace keelson::cli
