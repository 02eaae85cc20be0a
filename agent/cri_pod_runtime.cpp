// SPDX-License-Identifier: Apache-2.0
// CRI's statuses to observed values, and orders to CRI's configs.
#include "agent/cri_pod_runtime.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "agent/config/handler_features.h"
#include "agent/container_log.h"
#include "agent/plan.h"
#include "agent/rotated_logs.h"
#include "agent/runtime_conditions.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/sha256.h"

namespace keelson::agent {

namespace {

constexpr const char* kPodName = "io.kubernetes.pod.name";
constexpr const char* kPodNamespace = "io.kubernetes.pod.namespace";
constexpr const char* kPodUid = "io.kubernetes.pod.uid";
constexpr const char* kContainerName = "io.kubernetes.container.name";
constexpr const char* kHash = "io.kubernetes.container.hash";
constexpr const char* kRestartCount = "io.kubernetes.container.restartCount";
constexpr const char* kMessagePolicy = "io.kubernetes.container.terminationMessagePolicy";
constexpr const char* kRestartDelay = "node.keelson.dev/restart-delay-ms";
constexpr size_t kMessageLimit = 4096;
constexpr size_t kFallbackLimit = 2048;
constexpr size_t kFallbackLines = 80;

std::string value_at(const cri::StringMap& map, const char* key) {
  auto it = map.find(key);
  return it == map.end() ? "" : it->second;
}

WallTime time_at(int64_t nanoseconds) {
  return WallTime(std::chrono::nanoseconds(nanoseconds));
}

RunState state_of(cri::ContainerState state) {
  switch (state) {
    case cri::ContainerState::created:
      return RunState::created;
    case cri::ContainerState::running:
      return RunState::running;
    case cri::ContainerState::exited:
      return RunState::exited;
    case cri::ContainerState::unknown:
      return RunState::unknown;
  }
  return RunState::unknown;
}

Duration delay_of(const cri::StringMap& annotations) {
  auto text = value_at(annotations, kRestartDelay);
  int64_t milliseconds = 0;
  std::from_chars(text.data(), text.data() + text.size(), milliseconds);
  return std::chrono::milliseconds(milliseconds);
}

ObservedResources resources_of(const cri::ContainerStatus& status) {
  const auto told = status.resources.value_or(cri::LinuxResources());
  return {.cpu_shares = told.cpu_shares,
          .cpu_quota = told.cpu_quota,
          .cpu_period = told.cpu_period,
          .memory_limit = told.memory_limit_bytes};
}

cri::StringMap pod_labels(const kube::ObjectMeta& pod) {
  return {{kPodName, pod.name}, {kPodNamespace, pod.ns}, {kPodUid, pod.uid}};
}

/// A hash, for credentials are in it.
std::string pull_key(const std::string& image, const std::string& handler,
                     const std::vector<cri::AuthConfig>& credentials) {
  std::vector<std::string> parts{image, handler};
  for (const auto& auth : credentials) {
    parts.insert(parts.end(), {auth.username, auth.password, auth.auth, auth.server_address, auth.identity_token,
                               auth.registry_token});
  }
  std::string all;
  for (const auto& part : parts) {
    all += fmt::format("{}:{}", part.size(), part);
  }
  return sha256_hex(all);
}

/// What is already gone is as gone as asked for.
Result<> absent_is_fine(Result<> result) {
  if (!result && result.error().kind() == Kind::not_found) {
    return {};
  }
  return result;
}

}  // namespace

CriPodRuntime::CriPodRuntime(cri::RuntimeClient& service, PodConfigs& configs, CallLimits limits, PullGate* pulls)
    : service_(service), configs_(configs), limits_(limits), pulls_(pulls) {}

void CriPodRuntime::watch(std::function<void(const std::string& uid)> changed) {
  service_.watch_events([changed](const cri::ContainerEvent& event) { changed(event.pod.uid); },
                        [changed] { changed(""); });
}

Task<std::vector<kube::ObjectMeta>> CriPodRuntime::list_pods() {
  KEELSON_CO_TRY(auto sandboxes, co_await service_.list_pod_sandboxes({}, limits_.ask));
  std::map<std::string, kube::ObjectMeta> found;
  for (const auto& sandbox : sandboxes) {
    // A sandbox without our label is somebody else's (crictl runp).
    if (auto uid = value_at(sandbox.labels, kPodUid); !uid.empty()) {
      kube::ObjectMeta meta;
      meta.name = sandbox.metadata.name;
      meta.ns = sandbox.metadata.ns;
      meta.uid = uid;
      found.emplace(uid, std::move(meta));
    }
  }
  KEELSON_CO_TRY(auto prepared, configs_.prepared());
  for (const auto& uid : prepared) {
    kube::ObjectMeta meta;
    meta.uid = uid;
    found.emplace(uid, std::move(meta));
  }
  std::vector<kube::ObjectMeta> list;
  for (auto& [uid, meta] : found) {
    list.push_back(std::move(meta));
  }
  co_return list;
}

std::string CriPodRuntime::termination_message(const cri::ContainerStatus& status) {
  kube::ObjectMeta pod;
  pod.name = value_at(status.labels, kPodName);
  pod.ns = value_at(status.labels, kPodNamespace);
  pod.uid = value_at(status.labels, kPodUid);
  auto path = configs_.termination_log(pod, status.name, status.attempt);
  std::string message;
  if (auto text = path.empty() ? Result<std::string>("") : read_head(path, kMessageLimit)) {
    message = *std::move(text);
  }
  if (message.empty() && status.exit_code != 0 &&
      value_at(status.annotations, kMessagePolicy) == "FallbackToLogsOnError") {
    if (auto text = LogReader::last_lines(status.log_path, kFallbackLines)) {
      message = text->size() > kFallbackLimit ? text->substr(text->size() - kFallbackLimit) : *text;
    }
  }
  return message.empty() ? status.message : message;
}

Task<ObservedContainer> CriPodRuntime::observe_container(cri::ContainerStatus listed) {
  if (auto known = ended_.find(listed.id); known != ended_.end()) {
    co_return known->second;
  }
  KEELSON_CO_TRY(auto status, co_await service_.container_status(listed.id, limits_.ask));
  ObservedContainer seen{.id = status.id,
                         .sandbox_id = listed.sandbox_id,
                         .name = value_at(status.labels, kContainerName),
                         .attempt = status.attempt,
                         .state = state_of(status.state),
                         .created_at = time_at(status.created_at),
                         .started_at = time_at(status.started_at),
                         .finished_at = time_at(status.finished_at),
                         .exit_code = status.exit_code,
                         .reason = status.reason,
                         .message = {},
                         .image = status.image,
                         .image_ref = status.image_ref,
                         .log_path = status.log_path,
                         .spec_hash = value_at(status.annotations, kHash),
                         .restart_delay = delay_of(status.annotations)};
  seen.resources = resources_of(status);
  if (status.user) {
    seen.user = {status.user->uid, status.user->gid, status.user->supplemental_groups};
  }
  for (const auto& mount : status.mounts) {
    if (mount.recursive_read_only) {
      seen.recursive_read_only.push_back(mount.container_path);
    }
  }
  if (seen.state == RunState::exited) {
    seen.message = termination_message(status);
    ended_[seen.id] = seen;
  }
  co_return seen;
}

Task<ObservedPod> CriPodRuntime::observe(std::string uid) {
  cri::ListFilter filter;
  filter.labels = {{kPodUid, uid}};
  ObservedPod found;
  KEELSON_CO_TRY(auto sandboxes, co_await service_.list_pod_sandboxes(filter, limits_.ask));
  for (const auto& listed : sandboxes) {
    ObservedSandbox seen{.id = listed.id,
                         .attempt = listed.metadata.attempt,
                         .ready = listed.ready,
                         .created_at = time_at(listed.created_at),
                         .ips = {},
                         .annotations = listed.annotations};
    if (listed.ready) {
      KEELSON_CO_TRY(auto status, co_await service_.pod_sandbox_status(listed.id, limits_.ask));
      seen.ready = status.ready;
      seen.ips = std::move(status.ips);
    }
    found.sandboxes.push_back(std::move(seen));
  }
  KEELSON_CO_TRY(auto containers, co_await service_.list_containers(filter, limits_.ask));
  for (auto& listed : containers) {
    auto seen = co_await observe_container(std::move(listed));
    if (seen) {
      found.containers.push_back(*std::move(seen));
    } else if (seen.error().kind() != Kind::not_found) {
      co_return std::unexpected(std::move(seen).error());
    }
  }
  std::ranges::sort(found.sandboxes, std::greater(), [](const auto& s) { return std::pair(s.attempt, s.created_at); });
  std::ranges::sort(found.containers, std::greater(), [](const auto& c) { return std::pair(c.attempt, c.created_at); });
  co_return found;
}

Task<> CriPodRuntime::prepare(kube::Pod pod) {
  co_return co_await configs_.prepare(std::move(pod));
}
Task<> CriPodRuntime::release(kube::Pod pod) {
  co_return co_await configs_.release(std::move(pod));
}

Task<> CriPodRuntime::clean_up(kube::Pod pod) {
  co_return co_await configs_.clean_up(std::move(pod));
}

std::set<std::string> CriPodRuntime::own_cpus(const kube::Pod& pod) {
  return configs_.own_cpus(pod);
}

Task<std::string> CriPodRuntime::network_trouble() {
  const auto status = co_await service_.status(limits_.ask);
  if (!status && status.error().kind() == Kind::cancelled) {
    co_return std::unexpected(status.error());
  }
  co_return status ? network_lacks(*status) : "";
}

std::vector<PodWarning> CriPodRuntime::warnings(const kube::Pod& pod) {
  return configs_.warnings(pod);
}

Result<cri::SandboxConfig> CriPodRuntime::sandbox_config(const kube::Pod& pod, uint32_t attempt) {
  KEELSON_TRY(auto config, configs_.sandbox(pod, attempt));
  config.metadata = {.name = pod.metadata.name, .uid = pod.metadata.uid, .ns = pod.metadata.ns, .attempt = attempt};
  config.labels.insert(pod.metadata.labels.begin(), pod.metadata.labels.end());
  for (auto& [key, value] : pod_labels(pod.metadata)) {
    config.labels[key] = value;
  }
  return config;
}

Task<std::string> CriPodRuntime::create_sandbox(kube::Pod pod, uint32_t attempt) {
  KEELSON_CO_TRY(auto config, sandbox_config(pod, attempt));
  KEELSON_CO_TRY(const auto handler, configs_.handler(pod));
  if (wants_features(config)) {
    KEELSON_CO_TRY(const auto status, co_await service_.status(limits_.act));
    KEELSON_CO_DO(check_sandbox(config, status, handler));
  }
  co_return co_await service_.run_pod_sandbox(std::move(config), handler, limits_.act);
}

Task<> CriPodRuntime::stop_sandbox(std::string id) {
  co_return absent_is_fine(co_await service_.stop_pod_sandbox(std::move(id), limits_.act));
}

Task<> CriPodRuntime::remove_sandbox(std::string id) {
  co_return absent_is_fine(co_await service_.remove_pod_sandbox(std::move(id), limits_.act));
}

Task<std::string> CriPodRuntime::find_image(std::string image) {
  KEELSON_CO_TRY(auto status, co_await service_.image_status(std::move(image), limits_.ask));
  co_return status.id;
}

/// Who asks for the same image with the same credentials, for the same kind of sandbox, gets the same.
Task<PulledImage> CriPodRuntime::pull_image(kube::Pod pod, std::string image) {
  KEELSON_CO_TRY(auto sandbox, sandbox_config(pod, 0));
  KEELSON_CO_TRY(auto credentials, co_await configs_.credentials(pod, image));
  if (credentials.empty()) {
    credentials.emplace_back();
  }
  if (pulls_ == nullptr) {
    co_return co_await pull_with(std::move(image), std::move(credentials), std::move(sandbox));
  }
  auto key = pull_key(image, configs_.handler(pod).value_or(""), credentials);
  co_return co_await pulls_->pull(
      std::move(key), [&] { return pull_with(std::move(image), std::move(credentials), std::move(sandbox)); });
}

Task<PulledImage> CriPodRuntime::pull_with(std::string image, std::vector<cri::AuthConfig> credentials,
                                           cri::SandboxConfig sandbox) {
  Result<std::string> pulled;
  for (auto& auth : credentials) {
    pulled = co_await service_.pull_image(image, std::move(auth), sandbox, limits_.pull);
    if (pulled || pulled.error().kind() == Kind::cancelled) {
      break;
    }
  }
  if (!pulled) {
    co_return std::unexpected(std::move(pulled).error());
  }
  PulledImage image_here{.ref = *std::move(pulled)};
  if (const auto status = co_await service_.image_status(image_here.ref, limits_.ask)) {
    image_here.size = status->size;
  }
  co_return image_here;
}

Task<std::string> CriPodRuntime::create_container(ContainerOrder order) {
  uint32_t sandbox_attempt = 0;
  KEELSON_CO_TRY(auto sandbox, sandbox_config(order.pod, sandbox_attempt));
  KEELSON_CO_TRY(auto image, co_await service_.image_status(order.image_ref, limits_.ask));
  order.image_user = {.uid = image.uid, .name = image.username};
  const kube::Container* container = kube::find_container(order.pod.spec, order.name);
  if (container != nullptr && wants_recursive_read_only(*container)) {
    KEELSON_CO_TRY(const auto handler, configs_.handler(order.pod));
    KEELSON_CO_TRY(const auto status, co_await service_.status(limits_.act));
    order.recursive_read_only = can_recursive_read_only(status, handler);
  }
  KEELSON_CO_DO(co_await configs_.prepare_container(order.pod, order.name));
  KEELSON_CO_TRY(auto config, configs_.container(order));
  config.name = order.name;
  config.attempt = order.attempt;
  config.image = order.image_ref;
  config.labels = pod_labels(order.pod.metadata);
  config.labels[kContainerName] = order.name;
  if (container != nullptr) {
    config.user_specified_image = container->image;
    config.annotations[kHash] = spec_hash(*container);
    config.annotations[kMessagePolicy] = kube::to_string(container->termination_message_policy);
  }
  config.annotations[kRestartCount] = fmt::format("{}", order.attempt);
  config.annotations[kRestartDelay] = fmt::format("{}", order.restart_delay / std::chrono::milliseconds(1));
  // It may be made anew to be resized.
  KEELSON_CO_DO(co_await configs_.resize(order.pod, Resizing::after_containers));
  KEELSON_CO_TRY(auto id, co_await service_.create_container(order.sandbox_id, std::move(config), std::move(sandbox),
                                                             limits_.act));
  configs_.container_created(order, id);
  co_return id;
}

uint32_t CriPodRuntime::logged_attempts(const kube::Pod& pod, const std::string& container) {
  const auto sandbox = configs_.sandbox(pod, 0);
  return sandbox ? count_logs(sandbox->log_directory + "/" + container) : 0;
}

Task<> CriPodRuntime::start_container(std::string id) {
  co_return co_await service_.start_container(std::move(id), limits_.act);
}

Task<> CriPodRuntime::resize_container(kube::Pod pod, std::string name, std::string id) {
  KEELSON_CO_TRY(auto resources, configs_.resources(pod, name));
  KEELSON_CO_DO(co_await configs_.resize(pod, Resizing::before_containers));
  KEELSON_CO_DO(co_await service_.update_container_resources(std::move(id), std::move(resources), limits_.act));
  co_return co_await configs_.resize(std::move(pod), Resizing::after_containers);
}

Task<> CriPodRuntime::stop_container(std::string id, Duration grace) {
  auto seconds = std::chrono::ceil<std::chrono::seconds>(grace);
  co_return absent_is_fine(co_await service_.stop_container(std::move(id), seconds, seconds + limits_.act));
}

Task<> CriPodRuntime::remove_container(std::string id, bool with_log) {
  std::string log;
  if (const auto known = ended_.find(id); known != ended_.end() && with_log) {
    log = known->second.log_path;
  }
  ended_.erase(id);
  KEELSON_CO_DO(absent_is_fine(co_await service_.remove_container(id, limits_.act)));
  configs_.container_removed(id);
  if (!log.empty()) {
    if (auto removed = remove_logs(log); !removed) {
      log::warning("{}", removed.error().message());
    }
  }
  co_return Result<>();
}

Task<ExecOutcome> CriPodRuntime::exec(std::string id, std::vector<std::string> command, Duration limit) {
  KEELSON_CO_TRY(auto result, co_await service_.exec_sync(std::move(id), std::move(command), limit));
  co_return ExecOutcome{result.exit_code, result.out + result.error};
}

}  // namespace keelson::agent
