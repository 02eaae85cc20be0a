// SPDX-License-Identifier: Apache-2.0
#include "agent/worker_stats.h"

namespace keelson::agent {

namespace {

/// The kubelet's classes of images, by the size that they are above.
struct SizeClass {
  uint64_t above;
  const char* label;
};
constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kGiB = 1 << 30;
constexpr SizeClass kSizes[] = {{0, "0-10MB"},
                                {10 * kMiB, "10MB-100MB"},
                                {100 * kMiB, "100MB-500MB"},
                                {500 * kMiB, "500MB-1GB"},
                                {kGiB, "1GB-5GB"},
                                {5 * kGiB, "5GB-10GB"},
                                {10 * kGiB, "10GB-20GB"},
                                {20 * kGiB, "20GB-30GB"},
                                {30 * kGiB, "30GB-40GB"},
                                {40 * kGiB, "40GB-60GB"},
                                {60 * kGiB, "60GB-100GB"},
                                {100 * kGiB, "GT100GB"}};

}  // namespace

std::vector<double> pod_start_bounds() {
  return {0.5, 1, 2, 3, 4, 5, 6, 8, 10, 20, 30, 45, 60, 120, 180, 240, 300, 360, 480, 600, 900, 1200, 1800, 2700, 3600};
}

void WorkerStats::pass(std::string_view operation, Duration time) {
  passes_.observe({{"operation_type", std::string(operation)}}, time);
}

void WorkerStats::worker_started(Duration time) {
  worker_starts_.observe(std::chrono::duration<double>(time).count());
}

void WorkerStats::pulled(uint64_t size, Duration time) {
  const char* label = "N/A";
  for (const auto& one : kSizes) {
    label = size > one.above ? one.label : label;
  }
  pulls_.observe({{"image_size_in_bytes", label}}, time);
}

void WorkerStats::resized(bool success, Duration time) {
  resizes_.observe({{"success", success ? "true" : "false"}}, static_cast<double>(time / std::chrono::milliseconds(1)));
}

void WorkerStats::collect(Stats& stats) const {
  passes_.collect(stats, "kubelet_pod_worker_duration_seconds",
                  "[ALPHA] Duration in seconds to sync a single pod. Broken down by operation type: create, update, or "
                  "sync");
  stats.histogram("kubelet_pod_worker_start_duration_seconds",
                  "[ALPHA] Duration in seconds from kubelet seeing a pod to starting a worker.", worker_starts_);
  stats.histogram("kubelet_containers_per_pod_count", "[ALPHA] The number of containers per pod.", containers_);
  stats.counter("kubelet_started_pods_total", "[ALPHA] Cumulative number of pods started", static_cast<double>(pods_));
  stats.counter("kubelet_started_pods_errors_total", "[ALPHA] Cumulative number of errors when starting pods",
                static_cast<double>(pod_errors_));
  stats.counter("kubelet_started_user_namespaced_pods_total",
                "[ALPHA] Cumulative number of pods with user namespaces started. This metric will only be collected on "
                "Linux.",
                static_cast<double>(own_users_));
  stats.counter("kubelet_started_user_namespaced_pods_errors_total",
                "[ALPHA] Cumulative number of errors when starting pods with user namespaces. This metric will only be "
                "collected on Linux.",
                static_cast<double>(own_users_errors_));
  tried_.collect(stats, "kubelet_started_containers_total", "[ALPHA] Cumulative number of containers started");
  failed_.collect(stats, "kubelet_started_containers_errors_total",
                  "[ALPHA] Cumulative number of errors when starting containers");
  pulls_.collect(stats, "kubelet_image_pull_duration_seconds", "[ALPHA] Duration in seconds to pull an image.");
  stats.counter("kubelet_image_volume_requested_total", "[ALPHA] Number of requested image volumes.",
                static_cast<double>(volumes_));
  stats.counter("kubelet_image_volume_mounted_succeed_total", "[ALPHA] Number of successful image volume mounts.",
                static_cast<double>(mounted_volumes_));
  stats.counter("kubelet_image_volume_mounted_errors_total", "[ALPHA] Number of failed image volume mounts.",
                static_cast<double>(failed_volumes_));
  resizes_.collect(stats, "kubelet_pod_resize_duration_milliseconds",
                   "[ALPHA] Duration in milliseconds to actuate a pod resize");
  stats.counter("kubelet_lifecycle_handler_http_fallbacks_total",
                "[ALPHA] The number of times lifecycle handlers successfully fell back to http from https.",
                static_cast<double>(hook_fallbacks_));
  stats.counter("kubelet_sleep_action_terminated_early_total",
                "[ALPHA] The number of times lifecycle sleep handler got terminated before it finishes",
                static_cast<double>(cut_pauses_));
  stats.counter("kubelet_orphaned_runtime_pods_total",
                "[ALPHA] Number of pods that have been detected in the container runtime without being already known "
                "to the pod worker. This typically indicates the kubelet was restarted while a pod was force deleted "
                "in the API or in the local configuration, which is unusual.",
                static_cast<double>(orphans_));
  stats.gauge("kubelet_orphan_pod_cleaned_volumes",
              "[ALPHA] The total number of orphaned Pods whose volumes were cleaned in the last periodic sweep.",
              static_cast<double>(sought_));
  stats.gauge("kubelet_orphan_pod_cleaned_volumes_errors",
              "[ALPHA] The number of orphaned Pods whose volumes failed to be cleaned in the last periodic sweep.",
              static_cast<double>(left_));
  restarted_.collect(stats, "kubelet_restarted_pods_total",
                     "[ALPHA] Number of pods that have been restarted because they were deleted and recreated with the "
                     "same UID while the kubelet was watching them (common for static pods, extremely uncommon for "
                     "API pods)");
}

}  // namespace keelson::agent
