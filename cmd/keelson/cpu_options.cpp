// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/cpu_options.h"

#include <algorithm>
#include <limits>

#include "cmd/keelson/feature_gates.h"
#include "common/duration.h"

namespace keelson::cli {

namespace {

int64_t cpu_of(const kube::ResourceList& reserved) {
  const auto cpu = reserved.find("cpu");
  // Two of them are added.
  return cpu == reserved.end() ? 0 : std::min(cpu->second.milli(), std::numeric_limits<int64_t>::max() / 2);
}

Result<std::map<std::string, std::string>> options_of(const std::vector<std::string>& texts) {
  std::map<std::string, std::string> options;
  for (const auto& text : texts) {
    const size_t sign = text.find('=');
    if (sign == std::string::npos) {
      return fail(Kind::invalid, "cpuManagerPolicyOptions: '{}' is not NAME=VALUE, such as full-pcpus-only=true", text);
    }
    options[text.substr(0, sign)] = text.substr(sign + 1);
  }
  return options;
}

Result<cpus::CpuManagerOptions> cpu_manager_options(const NodeConfig& config, const LocalNode& node) {
  cpus::CpuManagerOptions options;
  options.root = config.root;
  options.policy = config.cpu_manager_policy;
  KEELSON_TRY(options.policy_options, options_of(config.cpu_manager_policy_options));
  options.gates = {.alpha = gate(config, kAlphaCpuOptions, false), .beta = gate(config, kBetaCpuOptions, true)};
  KEELSON_TRY(options.period, parse_duration(config.cpu_manager_reconcile_period).context("cpuManagerReconcilePeriod"));
  if (options.period <= Duration(0)) {
    return fail(Kind::invalid, "cpuManagerReconcilePeriod: '{}' is not more than nothing",
                config.cpu_manager_reconcile_period);
  }
  KEELSON_TRY(options.reserved, CpuSet::parse(config.reserved_system_cpus).context("reservedSystemCPUs"));
  options.reserved_milli = cpu_of(node.reserved_for_system) + cpu_of(node.reserved_for_kube);
  return options;
}

}  // namespace

Result<std::unique_ptr<cpus::CpuManager>> make_cpu_manager(Loop& loop, cri::RuntimeClient& runtime,
                                                           const NodeConfig& config, const LocalNode& node) {
  KEELSON_TRY(auto options, cpu_manager_options(config, node));
  KEELSON_TRY(auto machine, cpus::read_topology(""));
  return cpus::CpuManager::make(loop, runtime, std::move(machine), std::move(options));
}

}  // namespace keelson::cli
