// SPDX-License-Identifier: Apache-2.0
// What is in use, and a volume's way to its pod: rules, attachment, staged, published.
#include "agent/storage/csi_volumes.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/storage/csi_mounting.h"
#include "common/fd.h"
#include "common/log.h"

namespace keelson::storage {

namespace {

/// How long a pod's worker waits for an attachment before it says so and tries again.
constexpr std::chrono::seconds kAttachWait{20};
constexpr std::chrono::milliseconds kFirstLook{250};
constexpr std::chrono::seconds kLastLook{4};

/// From now on it has to be undone.
Result<> begin(const std::string& root, const std::string& uid, const CsiRecord& record) {
  KEELSON_DO(make_directories(fmt::format("{}/pods/{}", root, uid), 0750));
  return write_record(pod_folder(root, uid, record), record);
}

}  // namespace

CsiVolumes::CsiVolumes(Loop& loop, agent::ApiCall call, CsiDrivers& drivers, CsiVolumesOptions options)
    : loop_(loop),
      call_(std::move(call)),
      drivers_(drivers),
      options_(std::move(options)),
      turns_(loop),
      tasks_(loop) {}

CsiVolumes::~CsiVolumes() {
  pool_.join();
}

void CsiVolumes::tell_in_use() {
  std::set<std::string> now;
  const auto add = [&now](const CsiRecord& record) {
    if (!record.attachment.empty()) {
      now.insert(unique_name(record.driver, record.handle));
    }
  };
  const auto pods = all_pod_records(options_.root);
  const auto devices = device_records(options_.root);
  if (!pods || !devices) {
    log::warning("volumes in use: {}", (pods ? devices.error() : pods.error()).message());
    now = in_use_;  // none is let go that may be in use
  }
  for (const auto& [uid, record] : pods.value_or(std::vector<PodRecord>())) {
    add(record);
  }
  std::ranges::for_each(devices.value_or(std::vector<CsiRecord>()), add);
  for (const auto& [volume, record] : waiting_) {
    add(record);
  }
  if (now != std::exchange(in_use_, now) || !told_) {
    told_ = true;
    options_.in_use(std::move(now));
  }
}

// ---- From the API

/// A driver without an object has the defaults.
Task<kube::CsiDriver> CsiVolumes::rules_of(std::string driver) {
  kube::Request request;
  request.path = "/apis/storage.k8s.io/v1/csidrivers/" + driver;
  auto text = co_await call_(std::move(request), agent::kApiDeadline);
  if (!text && text.error().kind() == Kind::not_found) {
    co_return kube::CsiDriver();
  }
  if (!text) {
    co_return std::unexpected(std::move(text).error());
  }
  co_return kube::decode_csi_driver(*text);
}

Task<kube::StringMap> CsiVolumes::secret(std::optional<kube::SecretReference> reference) {
  if (!reference) {
    co_return kube::StringMap();
  }
  kube::Request request;
  request.path = agent::object_path(reference->ns, "secrets", reference->name);
  KEELSON_CO_TRY(const auto text, co_await agent::call_of_pod(loop_, call_, std::move(request)));
  KEELSON_CO_TRY(auto found, kube::decode_secret(text));
  co_return std::move(found.data);
}

/// What the attacher has left for the driver, once it is done.
Task<kube::StringMap> CsiVolumes::attached(std::string attachment) {
  const SteadyTime end = loop_.clock().steady() + kAttachWait;
  std::string trouble = "volume attachment is not there yet";
  for (Duration wait = kFirstLook; loop_.clock().steady() < end; wait = std::min<Duration>(2 * wait, kLastLook)) {
    kube::Request request;
    request.path = "/apis/storage.k8s.io/v1/volumeattachments/" + attachment;
    auto text = co_await call_(std::move(request), agent::kApiDeadline);
    if (text) {
      KEELSON_CO_TRY(auto found, kube::decode_volume_attachment(*text));
      const bool ends = found.metadata.deletion_timestamp.has_value();
      if (found.attached && !ends) {
        co_return std::move(found.attachment_metadata);
      }
      trouble = ends                         ? "volume attachment is being deleted"
                : found.attach_error.empty() ? "volume is not attached yet"
                                             : found.attach_error;
    } else if (text.error().kind() != Kind::not_found && text.error().code() != 403) {
      co_return std::unexpected(std::move(text).error());
    }
    KEELSON_CO_DO(co_await loop_.sleep(wait));
  }
  co_return fail(Kind::unavailable, "{} (VolumeAttachment {})", trouble, attachment);
}

// ---- There

Task<agent::MountedVolume> CsiVolumes::mount(kube::Pod pod, BoundVolume bound) {
  auto m = std::make_shared<Mounting>();
  m->pod = std::move(pod);
  m->bound = std::move(bound);
  const auto& source = m->source();
  const auto failed = [m](Error error, std::string_view step) {
    return std::unexpected(agent::mount_error(error, m->bound.name, step));
  };
  auto driver = drivers_.find(source.driver);
  if (!driver) {
    co_return failed(std::move(driver).error(), "SetUp");
  }
  m->driver = *std::move(driver);
  auto rules = co_await rules_of(source.driver);
  if (!rules) {
    co_return failed(std::move(rules).error(), "SetUp");
  }
  m->rules = *std::move(rules);
  if (m->bound.ephemeral &&
      std::ranges::find(m->rules.volume_lifecycle_modes, "Ephemeral") == m->rules.volume_lifecycle_modes.end()) {
    co_return failed(
        Error(Kind::unsupported, fmt::format("volume mode \"Ephemeral\" not supported by driver {}", source.driver)),
        "SetUp");
  }
  m->record = {.driver = source.driver,
               .handle = source.volume_handle,
               .name = m->bound.name,
               .attachment = {},
               .ephemeral = m->bound.ephemeral};
  if (!m->bound.ephemeral && m->rules.attach_required) {
    m->record.attachment = attachment_name(source.volume_handle, source.driver, options_.node_name);
    waiting_[{m->pod.metadata.uid, m->record.name}] = m->record;
    tell_in_use();
    auto context = co_await attached(m->record.attachment);
    if (!context) {
      co_return failed(std::move(context).error(), "WaitForAttach");
    }
    m->publish_context = *std::move(context);
  }
  KEELSON_CO_TRY(const auto turn, co_await turns_.take(unique_name(source.driver, source.volume_handle)));
  const auto folder = pod_folder(options_.root, m->pod.metadata.uid, m->record);
  if (auto before = read_record(folder)) {
    m->record.group_given = before->group_given;
  }
  if (auto done = begin(options_.root, m->pod.metadata.uid, m->record); !done) {
    co_return failed(std::move(done).error(), "SetUp");
  }
  waiting_.erase({m->pod.metadata.uid, m->record.name});
  if (auto done = co_await stage(m); !done) {
    co_return failed(std::move(done).error(), "MountDevice");
  }
  if (auto done = co_await publish(m); !done) {
    co_return failed(std::move(done).error(), "SetUp");
  }
  if (m->rules.requires_republish) {
    republished_[{m->pod.metadata.uid, m->record.name}] = m;
  }
  co_return agent::MountedVolume{.path = folder + "/mount",
                                 .read_only = m->bound.read_only,
                                 .block = m->bound.volume.volume_mode == kube::VolumeMode::block};
}

}  // namespace keelson::storage
