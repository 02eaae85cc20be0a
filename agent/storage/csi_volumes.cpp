// SPDX-License-Identifier: Apache-2.0
#include "agent/storage/csi_volumes.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "agent/cluster/token_request.h"
#include "agent/config/group_owner.h"
#include "agent/storage/csi_capability.h"
#include "agent/storage/names.h"
#include "common/fd.h"
#include "common/log.h"

namespace keelson::storage {

namespace {

using RpcType = csi::v1::NodeServiceCapability::RPC;

/// How long a pod's worker waits for an attachment before it says so and tries again.
constexpr std::chrono::seconds kAttachWait{20};
constexpr std::chrono::milliseconds kFirstLook{250};
constexpr std::chrono::seconds kLastLook{4};
constexpr std::chrono::minutes kRepublish{1};
constexpr int64_t kTokenLife = 3600;  // seconds, where the driver says nothing

std::string globalmount(const std::string& root, const CsiRecord& record) {
  return device_dir(root, record.driver, record.handle) + "/globalmount";
}
std::string pod_folder(const std::string& root, const std::string& uid, const CsiRecord& record) {
  return volumes_dir(root, uid, "csi", record.name);
}

void fill(google::protobuf::Map<std::string, std::string>& map, const kube::StringMap& from) {
  for (const auto& [key, value] : from) {
    map[key] = value;
  }
}

/// From now on it has to be undone.
Result<> begin(const std::string& root, const std::string& uid, const CsiRecord& record) {
  KEELSON_DO(make_directories(fmt::format("{}/pods/{}", root, uid), 0750));
  return write_record(pod_folder(root, uid, record), record);
}

/// Of an empty folder; a driver may have taken it away itself.
Result<> remove_folder(const std::string& path) {
  if (::rmdir(path.c_str()) < 0 && errno != ENOENT) {
    // A driver may have published a file: a device's.
    if (errno != ENOTDIR || ::unlink(path.c_str()) < 0) {
      return fail_errno(errno, "remove {}", path);
    }
  }
  return {};
}

}  // namespace

/// One volume of one pod, on its way.
struct CsiVolumes::Mounting {
  kube::Pod pod;
  BoundVolume bound;
  kube::CsiDriver rules;
  std::shared_ptr<RegisteredDriver> driver;
  CsiRecord record;
  kube::StringMap publish_context;

  const kube::CsiPersistentVolume& source() const { return *bound.volume.csi; }
  bool stages() const { return !bound.ephemeral && driver->can(RpcType::STAGE_UNSTAGE_VOLUME); }
  csi::v1::VolumeCapability capability() const {
    return capability_of(bound, *driver, pod.spec.security_context.fs_group);
  }
};

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

Task<> CsiVolumes::stage(SharedMounting m) {
  const auto name = unique_name(m->record.driver, m->record.handle);
  if (!m->stages() || staged_.contains(name)) {
    co_return Result<>();
  }
  KEELSON_CO_TRY(const auto secrets, co_await secret(m->source().node_stage_secret));
  KEELSON_CO_DO(write_record(device_dir(options_.root, m->record.driver, m->record.handle), m->record));
  const auto target = globalmount(options_.root, m->record);
  KEELSON_CO_DO(make_directories(target, 0750));
  csi::v1::NodeStageVolumeRequest request;
  request.set_volume_id(m->record.handle);
  fill(*request.mutable_publish_context(), m->publish_context);
  request.set_staging_target_path(target);
  *request.mutable_volume_capability() = m->capability();
  fill(*request.mutable_secrets(), secrets);
  fill(*request.mutable_volume_context(), m->source().volume_attributes);
  KEELSON_CO_TRY(const auto answer,
                 co_await m->driver->client.ask(&CsiCalls::NodeStageVolume, std::move(request), kCsiDeadline));
  staged_.insert(name);
  co_return Result<>();
}

Task<> CsiVolumes::publish(SharedMounting m) {
  KEELSON_CO_TRY(const auto secrets, co_await secret(m->source().node_publish_secret));
  const auto target = pod_folder(options_.root, m->pod.metadata.uid, m->record) + "/mount";
  csi::v1::NodePublishVolumeRequest request;
  request.set_volume_id(m->record.handle);
  fill(*request.mutable_publish_context(), m->publish_context);
  if (m->stages()) {
    request.set_staging_target_path(globalmount(options_.root, m->record));
  }
  request.set_target_path(target);
  *request.mutable_volume_capability() = m->capability();
  request.set_readonly(m->bound.read_only);
  fill(*request.mutable_secrets(), secrets);
  fill(*request.mutable_volume_context(), m->source().volume_attributes);
  if (m->rules.pod_info_on_mount) {
    fill(*request.mutable_volume_context(), pod_info(m->pod, m->bound.ephemeral));
  }
  KEELSON_CO_TRY(const auto own_tokens, co_await tokens(m));
  fill(*request.mutable_volume_context(), own_tokens);
  KEELSON_CO_TRY(const auto answer,
                 co_await m->driver->client.ask(&CsiCalls::NodePublishVolume, std::move(request), kCsiDeadline));
  if (!m->record.group_given && m->pod.spec.security_context.fs_group &&
      is_given_to_group(m->bound, m->rules.fs_group_policy, *m->driver)) {
    KEELSON_CO_DO(co_await blocking(
        pool_, [target, security = m->pod.spec.security_context] { return agent::give_to_group(target, security); }));
    m->record.group_given = true;
    KEELSON_CO_DO(write_record(pod_folder(options_.root, m->pod.metadata.uid, m->record), m->record));
  }
  co_return Result<>();
}

/// For drivers that act for the pod's service account elsewhere (KEP-2047).
Task<kube::StringMap> CsiVolumes::tokens(SharedMounting m) {
  boost::json::object given;
  for (const auto& wanted : m->rules.token_requests) {
    auto request = agent::token_request(
        m->pod.metadata, agent::service_account_of(m->pod),
        {.audience = wanted.audience, .expiration_seconds = wanted.expiration_seconds.value_or(kTokenLife)});
    KEELSON_CO_TRY(const auto body, co_await agent::call_of_pod(loop_, call_, std::move(request)));
    KEELSON_CO_TRY(const auto token, agent::read_token(body));
    given[wanted.audience] = {{"token", token.text}, {"expirationTimestamp", format_rfc3339(token.expires)}};
  }
  if (given.empty()) {
    co_return kube::StringMap();
  }
  co_return kube::StringMap{{"csi.storage.k8s.io/serviceAccount.tokens", boost::json::serialize(given)}};
}

Task<> CsiVolumes::republish() {
  while (true) {
    KEELSON_CO_DO(co_await loop_.sleep(kRepublish));
    std::set<std::string> due;
    for (const auto& [key, mounting] : republished_) {
      due.insert(mounting->record.driver);
    }
    for (const auto& driver : due) {
      if (republishing_.insert(driver).second) {
        tasks_.spawn("volumes that are published again", republish_of(driver));
      }
    }
  }
}

/// One round.
Task<> CsiVolumes::republish_of(std::string name) {
  for (const auto& [key, mounting] : std::map(republished_)) {
    if (mounting->record.driver != name) {
      continue;
    }
    KEELSON_CO_TRY(const auto turn, co_await turns_.take(unique_name(name, mounting->record.handle)));
    if (!republished_.contains(key)) {
      continue;  // unmounted meanwhile
    }
    if (auto driver = drivers_.find(name)) {
      mounting->driver = *std::move(driver);
    }
    if (auto done = co_await publish(mounting); !done) {
      log::warning("pod {}: volume {}: {}", kube::full_name(mounting->pod.metadata), mounting->bound.name,
                   done.error().message());
    }
  }
  republishing_.erase(name);
  co_return Result<>();
}

// ---- And back

Task<> CsiVolumes::unmount(std::string uid) {
  const bool waited = std::erase_if(waiting_, [&](const auto& entry) { return entry.first.first == uid; }) > 0;
  KEELSON_CO_TRY(const auto records, pod_records(options_.root, uid));
  for (const auto& record : records) {
    const SteadyTime began = loop_.clock().steady();
    auto done = co_await unpublish(uid, record);
    options_.volume_stats->done("kubernetes.io/csi:" + record.driver, "volume_unmount", loop_.clock().steady() - began,
                                done ? nullptr : &done.error());
    if (!done) {
      Error error = std::move(done).error();
      co_return std::unexpected(
          Error(error.kind(),
                fmt::format("UnmountVolume.TearDown failed for volume \"{}\" : {}", record.name, error.message()),
                error.code()));
    }
  }
  if (waited || !records.empty()) {
    tell_in_use();
  }
  co_return Result<>();
}

/// The pod's record goes last: until then all of this is done again.
Task<> CsiVolumes::unpublish(std::string uid, CsiRecord record) {
  KEELSON_CO_TRY(auto driver, drivers_.find(record.driver));
  KEELSON_CO_TRY(const auto turn, co_await turns_.take(unique_name(record.driver, record.handle)));
  republished_.erase({uid, record.name});
  const auto folder = pod_folder(options_.root, uid, record);
  csi::v1::NodeUnpublishVolumeRequest request;
  request.set_volume_id(record.handle);
  request.set_target_path(folder + "/mount");
  KEELSON_CO_TRY(const auto answer,
                 co_await driver->client.ask(&CsiCalls::NodeUnpublishVolume, std::move(request), kCsiDeadline));
  KEELSON_CO_DO(remove_folder(folder + "/mount"));
  KEELSON_CO_TRY(const bool shared, has_other_users(uid, record));
  if (!shared) {
    const auto staged = read_record(device_dir(options_.root, record.driver, record.handle));
    if (staged) {
      KEELSON_CO_DO(co_await unstage(std::move(driver), record));
    } else if (staged.error().kind() != Kind::not_found) {
      co_return std::unexpected(staged.error());
    }
  }
  co_return remove_tree(folder);
}

Result<bool> CsiVolumes::has_other_users(const std::string& uid, const CsiRecord& record) const {
  KEELSON_TRY(const auto all, all_pod_records(options_.root));
  return std::ranges::any_of(all, [&](const PodRecord& other) {
    return other.uid != uid && other.record.driver == record.driver && other.record.handle == record.handle;
  });
}

/// Under the volume's turn.
Task<> CsiVolumes::unstage(std::shared_ptr<RegisteredDriver> driver, CsiRecord record) {
  const auto folder = device_dir(options_.root, record.driver, record.handle);
  staged_.erase(unique_name(record.driver, record.handle));
  csi::v1::NodeUnstageVolumeRequest request;
  request.set_volume_id(record.handle);
  request.set_staging_target_path(folder + "/globalmount");
  KEELSON_CO_TRY(const auto answer,
                 co_await driver->client.ask(&CsiCalls::NodeUnstageVolume, std::move(request), kCsiDeadline));
  KEELSON_CO_DO(remove_folder(folder + "/globalmount"));
  co_return remove_tree(folder);
}

Task<> CsiVolumes::tidy(std::string name) {
  KEELSON_CO_TRY(const auto driver, drivers_.find(name));
  KEELSON_CO_TRY(const auto staged, device_records(options_.root));
  for (const auto& record : staged) {
    if (record.driver != name) {
      continue;
    }
    KEELSON_CO_TRY(const auto turn, co_await turns_.take(unique_name(record.driver, record.handle)));
    KEELSON_CO_TRY(const bool used, has_other_users("", record));
    if (used) {
      continue;
    }
    log::info("volume {} of CSI driver {} is staged, and no pod has it: it is unstaged", record.name, name);
    auto done = co_await unstage(driver, record);
    if (!done && done.error().kind() == Kind::cancelled) {
      co_return done;
    }
    if (!done) {
      log::warning("volume {} of CSI driver {}: {}", record.name, name, done.error().message());
    }
  }
  tell_in_use();
  co_return Result<>();
}

}  // namespace keelson::storage
