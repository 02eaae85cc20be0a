// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/pod_options.h"

#include <algorithm>
#include <limits>

#include "agent/node/kernel_settings.h"
#include "cmd/keelson/setting_values.h"

namespace keelson::cli {

namespace {

using namespace std::chrono_literals;

constexpr int64_t kMost = 1 << 20;
/// client-go's, where the kubelet is told 0.
constexpr double kDefaultQps = 5;
constexpr double kNoLimit = 1e9;

Result<Duration> parse_within(const char* key, const std::string& text, Duration least, Duration most) {
  KEELSON_TRY(const auto time, parse_duration(text).context("{}", key));
  if (time < least || time > most) {
    return fail(Kind::invalid, "{}: '{}' is not between {}ms and {}s", key, text,
                std::chrono::duration_cast<std::chrono::milliseconds>(least).count(),
                std::chrono::duration_cast<std::chrono::seconds>(most).count());
  }
  return time;
}

Result<agent::LifecycleTimes> lifecycle_times(const NodeConfig& config) {
  agent::LifecycleTimes times;
  KEELSON_TRY(times.restart_max,
              parse_within("maxContainerRestartPeriod", config.max_container_restart_period, 1s, 300s));
  times.restart_initial = std::min(times.restart_initial, times.restart_max);
  times.quotas.enforced = config.cpu_cfs_quota;
  KEELSON_TRY(const auto period, parse_within("cpuCFSQuotaPeriod", config.cpu_cfs_quota_period, 1ms, 1s));
  times.quotas.period = std::chrono::duration_cast<std::chrono::microseconds>(period).count();
  return times;
}

Result<RateLimit> rate_limit(const char* qps_key, const std::string& qps_text, const char* burst_key,
                             const std::string& burst_text, double at_zero) {
  KEELSON_TRY(const auto qps, parse_count(qps_key, qps_text, 0, kMost));
  KEELSON_TRY(const auto burst, parse_count(burst_key, burst_text, 1, kMost));
  return RateLimit{.per_second = qps == 0 ? at_zero : static_cast<double>(qps), .burst = static_cast<double>(burst)};
}

Result<agent::PullLimits> pull_limits(const NodeConfig& config) {
  agent::PullLimits pulls;
  KEELSON_TRY(const auto at_once, parse_count("maxParallelImagePulls", config.max_parallel_image_pulls, 0, kMost));
  pulls.at_once = static_cast<size_t>(at_once);
  KEELSON_TRY(pulls.begins,
              rate_limit("registryPullQPS", config.registry_qps, "registryBurst", config.registry_burst, 0));
  return pulls;
}

/// Messages do not show it: it may have a password in it.
Result<kube::ManifestUrl> manifest_url(const NodeConfig& config) {
  const auto& url = config.manifest_url;
  if (!url.empty() && !url.starts_with("http://") && !url.starts_with("https://")) {
    return fail(Kind::invalid, "staticPodURL: expected a URL that begins with http:// or https://");
  }
  KEELSON_TRY(const auto period, parse_period("httpCheckFrequency", config.manifest_check_frequency));
  return kube::ManifestUrl{.url = url, .headers = config.manifest_url_headers, .period = period};
}

}  // namespace

Result<PodOptions> pod_options(const NodeConfig& config) {
  PodOptions options;
  KEELSON_TRY(options.manifests, manifest_url(config));
  KEELSON_TRY(options.times, lifecycle_times(config));
  KEELSON_TRY(options.pulls, pull_limits(config));
  KEELSON_TRY(options.calls.act, parse_period("runtimeRequestTimeout", config.runtime_request_timeout));
  KEELSON_TRY(options.requests,
              rate_limit("kubeAPIQPS", config.kube_api_qps, "kubeAPIBurst", config.kube_api_burst, kDefaultQps));
  KEELSON_TRY(options.events,
              rate_limit("eventRecordQPS", config.event_qps, "eventBurst", config.event_burst, kNoLimit));
  KEELSON_TRY(options.sysctls,
              agent::SysctlAllowlist::make(config.allowed_unsafe_sysctls).context("allowedUnsafeSysctls"));
  const auto& swap = config.swap_behavior;
  if (!swap.empty() && swap != "NoSwap" && swap != "LimitedSwap") {
    return fail(Kind::invalid, "swapBehavior: '{}' is neither NoSwap nor LimitedSwap", swap);
  }
  options.memory_rules = {.limited_swap = swap == "LimitedSwap", .single_oom_kill = config.single_process_oom_kill};
  constexpr int64_t kIds = 65536;
  KEELSON_TRY(const auto ids,
              parse_count("userNamespaceIDsPerPod", config.user_namespace_ids_per_pod, kIds, (int64_t{1} << 31)));
  if (ids % kIds != 0) {
    return fail(Kind::invalid, "userNamespaceIDsPerPod: {} is not a multiple of {}", ids, kIds);
  }
  options.ids = static_cast<uint32_t>(ids);
  constexpr auto kAny = std::numeric_limits<int64_t>::max();
  KEELSON_TRY(const auto processes, parse_count("podPidsLimit", config.pod_pids_limit, -kAny, kAny));
  options.pids_limit = std::max<int64_t>(processes, 0);
  return options;
}

Result<> prepare_machine(const NodeConfig& config) {
  const bool in_cluster = !config.kubeconfig.empty();
  if (config.fail_swap_on && (in_cluster || config.as_kubelet)) {
    KEELSON_DO(agent::refuse_swap(""));
  }
  if (!in_cluster && !config.protect_kernel_defaults) {
    return {};  // alone, the machine is somebody's who tries us
  }
  return agent::apply_kernel_settings("", config.protect_kernel_defaults ? agent::KernelSettings::require
                                          : config.set_kernel_defaults   ? agent::KernelSettings::set
                                                                         : agent::KernelSettings::leave);
}

}  // namespace keelson::cli
