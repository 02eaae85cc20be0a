// SPDX-License-Identifier: Apache-2.0
// The images that a container cannot do without: its own, and those that it mounts.
#include <fmt/format.h>

#include <algorithm>

#include "agent/pod_worker_state.h"
#include "common/duration.h"
#include "cri/image/reference.h"

namespace keelson::agent {

namespace {

std::string whole_milliseconds(Duration time) {
  return duration_text(std::chrono::floor<std::chrono::milliseconds>(time));
}

}  // namespace

/// The image's reference. A failure has been told, and is in the container's trouble.
Task<std::string> PodWorker::State::provide_image(WantedImage wanted) {
  const auto& image = wanted.reference;
  if (auto name = cri::image::parse_reference(image); !name) {
    auto message = fmt::format("Failed to apply default image tag \"{}\": couldn't parse image name \"{}\": {}", image,
                               image, name.error().message());
    record(wanted.subject, EventType::warning, "InspectFailed", message);
    record(wanted.container, EventType::warning, "Failed", "Error: InvalidImageName");
    set_trouble(wanted.container, "InvalidImageName", std::move(message), shared.times.create_retry);
    co_return std::unexpected(std::move(name).error());
  }
  auto policy = wanted.policy.value_or(kube::PullPolicy::if_not_present);
  if (policy != kube::PullPolicy::always) {
    auto present = co_await shared.runtime.find_image(image);
    if (!present) {
      set_trouble(wanted.container, "ImageInspectError", present.error().message(), shared.times.create_retry);
      record(wanted.subject, EventType::warning, "InspectFailed",
             fmt::format("Failed to inspect image \"{}\": {}", image, present.error().message()));
      co_return std::unexpected(std::move(present).error());
    }
    if (!present->empty()) {
      record(wanted.subject, EventType::normal, "Pulled",
             fmt::format("Container image \"{}\" already present on machine", image));
      co_return *std::move(present);
    }
  }
  if (policy == kube::PullPolicy::never) {
    auto message = fmt::format("Container image \"{}\" is not present with pull policy of Never", image);
    record(wanted.subject, EventType::warning, "ErrImageNeverPull", message);
    record(wanted.container, EventType::warning, "Failed", "Error: ErrImageNeverPull");
    set_trouble(wanted.container, "ErrImageNeverPull", message, shared.times.create_retry);
    co_return fail(Kind::not_found, "{}", message);
  }
  const auto& last = memory.containers[wanted.container].trouble;
  Duration delay =
      last && last->image == image && (last->reason == "ErrImagePull" || last->reason == "ImagePullBackOff")
          ? std::min(2 * last->delay, shared.times.pull_max)
          : shared.times.pull_initial;
  record(wanted.subject, EventType::normal, "Pulling", fmt::format("Pulling image \"{}\"", image));
  SteadyTime begin = shared.loop.clock().steady();
  auto pulled = co_await shared.runtime.pull_image(pod, image);
  if (!pulled) {
    bool bad_name = pulled.error().kind() == Kind::invalid;
    std::string reason = bad_name ? "InvalidImageName" : "ErrImagePull";
    record(wanted.subject, EventType::warning, "Failed",
           fmt::format("Failed to pull image \"{}\": {}", image, pulled.error().message()));
    record(wanted.container, EventType::warning, "Failed", "Error: " + reason);
    set_trouble(wanted.container, reason, pulled.error().message(), delay, image);
    co_return std::unexpected(std::move(pulled).error());
  }
  const Duration past = shared.loop.clock().steady() - begin;
  const Duration own = past - pulled->waited;
  shared.stats.pulled(pulled->size, own);
  record(wanted.subject, EventType::normal, "Pulled",
         fmt::format("Successfully pulled image \"{}\" in {} ({} including waiting). Image size: {} bytes.", image,
                     whole_milliseconds(own), whole_milliseconds(past), pulled->size));
  co_return std::move(pulled->ref);
}

/// One that the pod's other containers may mount, too: what it is has been found for all of them as long as it is here,
/// and what a failure means for this one.
Task<std::string> PodWorker::State::provide_volume(kube::Volume volume, std::string container) {
  const auto& name = volume.name;
  if (const auto known = memory.image_volumes.refs.find(name); known != memory.image_volumes.refs.end()) {
    std::string ref = known->second;
    const auto present = co_await shared.runtime.find_image(ref);
    if (present && !present->empty()) {
      co_return ref;
    }
  }
  if (const auto failed = failed_volumes.find(name); failed != failed_volumes.end()) {
    const auto& [trouble, error] = failed->second;
    record(container, EventType::warning, "Failed", "Error: " + trouble.reason);
    set_trouble(container, trouble.reason, trouble.message, trouble.delay, trouble.image);
    memory.containers[container].trouble->retry_at = trouble.retry_at;  // so that they share the next try, too
    co_return std::unexpected(error);
  }
  auto ref = co_await provide_image({.reference = volume.image->reference,
                                     .policy = volume.image->pull_policy,
                                     .container = container,
                                     .subject = {}});
  if (ref) {
    memory.image_volumes.refs[name] = *ref;
  } else if (const auto& trouble = memory.containers[container].trouble) {
    failed_volumes.insert_or_assign(name, std::pair(*trouble, ref.error()));
  }
  co_return ref;
}

/// Those that the container mounts, by the names of their volumes; in the order of the pod's.
Task<std::map<std::string, std::string>> PodWorker::State::provide_image_volumes(kube::Container container,
                                                                                 std::string sandbox) {
  if (memory.image_volumes.sandbox != sandbox) {
    memory.image_volumes = {.sandbox = std::move(sandbox), .refs = {}};
  }
  std::map<std::string, std::string> provided;
  for (const auto& volume : std::vector(pod.spec.volumes)) {
    const bool mounted = std::ranges::find(container.volume_mounts, volume.name, &kube::VolumeMount::name) !=
                         container.volume_mounts.end();
    if (volume.image && mounted) {
      KEELSON_CO_TRY(provided[volume.name], co_await provide_volume(volume, container.name));
    }
  }
  co_return provided;
}

}  // namespace keelson::agent
