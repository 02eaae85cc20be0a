// SPDX-License-Identifier: Apache-2.0
// Plugins that come and go, and what is told of their devices.
#include "agent/devices/devices.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <filesystem>

#include "agent/devices/checkpoint.h"
#include "agent/devices/devices_state.h"
#include "agent/devices/response.h"
#include "common/atomic_file.h"
#include "common/fd.h"
#include "common/log.h"
#include "kube/resource_names.h"

namespace keelson::devices {

namespace fs = std::filesystem;

namespace {

constexpr const char* kVersion = "v1beta1";
constexpr std::chrono::minutes kStopGrace{5};  // the kubelet's: until then a node still has the capacity
constexpr std::chrono::seconds kServeAgain{10};

/// So that plugins in containers without privileges may use it.
void label_for_containers(const std::string& folder) {
  constexpr std::string_view kLabel = "system_u:object_r:container_file_t:s0";
  if (::access("/sys/fs/selinux/enforce", F_OK) == 0 &&
      ::lsetxattr(folder.c_str(), "security.selinux", kLabel.data(), kLabel.size() + 1, 0) < 0) {
    log::warning("{}: unprivileged containerized plugins might not work: set its SELinux context: {}", folder,
                 errno_text(errno));
  }
}

void remove_sockets(const std::string& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    std::error_code failed;
    if (entry.is_socket(failed) && !fs::remove(entry.path(), failed) && failed) {
      log::warning("remove {}: {}", entry.path().string(), failed.message());
    }
  }
}

}  // namespace

Devices::State::State(Loop& l, DevicesOptions o)
    : loop(l),
      options(std::move(o)),
      folder(options.root + "/device-plugins"),
      file(folder + "/kubelet_internal_checkpoint"),
      durations(default_bounds()),
      tasks(l) {
  restore();
}

void Devices::State::restore() {
  auto text = read_file(file);
  if (!text && text.error().kind() == Kind::not_found) {
    first_life = true;
    return;
  }
  auto checkpoint = text ? decode(*text) : std::unexpected(text.error());
  if (!checkpoint) {
    log::warning("{}: {}; which devices pods had is not known, going on without", file, checkpoint.error().message());
    return;
  }
  written = *std::move(text);
  for (const auto& [resource, ids] : checkpoint->registered) {
    inventory.expect(resource);
  }
  if (!checkpoint->boot_id.empty() && !options.boot_id.empty() && checkpoint->boot_id != options.boot_id) {
    for (const auto& [uid, devices] : checkpoint->assigned) {
      earlier_boot.insert(uid);
    }
  }
  inventory.restore(std::move(checkpoint->assigned));
}

Result<> Devices::State::write() {
  auto text = encode({.assigned = inventory.assigned(), .registered = inventory.healthy(), .boot_id = options.boot_id});
  if (text == written) {
    return {};
  }
  KEELSON_DO(make_directories(folder));
  KEELSON_DO(write_file_atomic(file, text, 0600, Durability::power).context("failed to write checkpoint file"));
  written = std::move(text);
  return {};
}

void Devices::State::write_or_tell() {
  if (auto done = write(); !done) {
    log::warning("{}", done.error().message());
  }
}

// ---- Plugins

Task<> Devices::State::run() {
  KEELSON_CO_DO(make_directories(folder));
  label_for_containers(folder);
  remove_sockets(folder);
  if (first_life) {
    write_or_tell();  // the next one is not
  }
  for (const auto& [resource, ids] : inventory.healthy()) {
    tasks.spawn("wait for plugin " + resource, expire(resource, ++lives[resource]));
  }
  options.changed();
  std::string trouble;
  while (!server) {
    auto started = RegistrationServer::start(loop, folder + "/kubelet.sock",
                                             [this](Registration said) { return register_plugin(std::move(said)); });
    if (started) {
      server = *std::move(started);
      break;
    }
    if (std::exchange(trouble, started.error().message()) != started.error().message()) {
      log::error("{}; trying again", trouble);
    }
    KEELSON_CO_DO(co_await loop.sleep(kServeAgain));
  }
  asio::steady_timer for_ever(loop.io(), asio::steady_timer::time_point::max());
  co_await for_ever.async_wait(use_result);
  co_return Result<>();
}

Task<> Devices::State::register_plugin(Registration said) {
  registrations.add({{"resource_name", said.resource}});
  Result<> valid;
  if (said.version != kVersion) {
    valid =
        fail(Kind::invalid, "requested API version \"{}\" is not supported by kubelet. Supported version is [\"{}\"]",
             said.version, kVersion);
  } else if (!kube::is_valid_extended_resource(said.resource)) {
    valid = fail(Kind::invalid, "the ResourceName \"{}\" is invalid", said.resource);
  }
  auto done = valid ? co_await connect(said.resource, folder + "/" + said.endpoint) : std::move(valid);
  if (!done) {
    log::warning("device plugin {} is not registered: {}", said.resource, done.error().message());
  }
  co_return done;
}

Task<> Devices::State::connect(std::string resource, std::string socket) {
  auto endpoint = std::make_shared<Endpoint>(loop, std::move(resource), std::move(socket));
  KEELSON_CO_DO(co_await endpoint->connect());
  take(std::move(endpoint));
  co_return Result<>();
}

void Devices::State::take(std::shared_ptr<Endpoint> endpoint) {
  const auto resource = endpoint->resource();
  auto& place = endpoints[resource];
  if (place) {
    place->unwatch();
  }
  place = endpoint;
  ++lives[resource];
  plugin_options[resource] = endpoint->options();
  log::info("device plugin {} is registered, at {}", resource, endpoint->socket());
  endpoint->watch({.listed = [this, resource](const std::vector<Device>& devices) { listed(resource, devices); },
                   .ended =
                       [this, resource](const Error& why) {
                         log::warning("device plugin {} has ended: {}", resource, why.message());
                         stopped(resource);
                       }});
}

void Devices::State::listed(const std::string& resource, const std::vector<Device>& devices) {
  inventory.listed(resource, devices);
  write_or_tell();
  options.changed();
}

void Devices::State::stopped(const std::string& resource) {
  const auto found = endpoints.find(resource);
  if (found == endpoints.end()) {
    return;
  }
  const auto name = resource;  // the caller's may go with the endpoint
  found->second->unwatch();
  endpoints.erase(found);
  inventory.stopped(name);
  write_or_tell();
  options.changed();
  tasks.spawn("wait for plugin " + name, expire(name, ++lives[name]));
}

/// Unless somebody has registered for the resource meanwhile.
Task<> Devices::State::expire(std::string resource, uint64_t life) {
  KEELSON_CO_DO(co_await loop.sleep(kStopGrace));
  if (lives[resource] == life) {
    log::info("device plugin {} has not come back: the node has none of it any more", resource);
    inventory.removed(resource);
    write_or_tell();
    options.changed();
  }
  co_return Result<>();
}

std::shared_ptr<Endpoint> Devices::State::endpoint_of(const std::string& resource) const {
  const auto found = endpoints.find(resource);
  return found != endpoints.end() ? found->second : nullptr;
}

// ---- What others call

Devices::Devices(Loop& loop, DevicesOptions options) : state_(std::make_unique<State>(loop, std::move(options))) {}
Devices::~Devices() = default;

Task<> Devices::run() {
  co_return co_await state_->run();
}

Task<> Devices::close() {
  if (state_->server) {
    KEELSON_CO_DO(co_await state_->server->close());
    state_->server.reset();
  }
  KEELSON_CO_DO(co_await state_->tasks.close());
  state_->endpoints.clear();
  co_return Result<>();
}

void Devices::retain(const std::set<std::string>& uids) {
  std::vector<std::string> gone;
  for (const auto& [uid, devices] : state_->inventory.assigned()) {
    if (!uids.contains(uid)) {
      gone.push_back(uid);
    }
  }
  for (const auto& uid : gone) {
    log::info("pod {} has gone: its devices are free", uid);
    state_->release(uid);
  }
}

agent::DeviceResources Devices::totals() const {
  auto totals = state_->inventory.totals();
  totals.first_life = state_->first_life;
  return totals;
}

std::set<std::string> Devices::resources() const {
  return state_->inventory.resources();
}

std::vector<DeviceUse> Devices::devices_of(const std::string& uid, const std::string& container) const {
  std::vector<DeviceUse> uses;
  const auto* has = state_->devices_of(uid, container);
  if (has == nullptr) {
    return uses;
  }
  for (const auto& [resource, assignment] : *has) {
    for (const auto& id : assignment.ids()) {
      DeviceUse use{.resource = resource, .id = id, .numa_nodes = {}};
      for (const auto& [node, ids] : assignment.devices) {
        if (node != kNoNumaNode && std::ranges::find(ids, id) != ids.end()) {
          use.numa_nodes.push_back(node);
        }
      }
      uses.push_back(std::move(use));
    }
  }
  return uses;
}

std::vector<DeviceUse> Devices::allocatable_devices() const {
  std::vector<DeviceUse> devices;
  for (const auto& [resource, ids] : state_->inventory.healthy()) {
    for (const auto& id : ids) {
      devices.push_back({.resource = resource, .id = id, .numa_nodes = state_->inventory.numa_nodes(resource, id)});
    }
  }
  return devices;
}

void Devices::collect(Stats& stats) const {
  state_->registrations.collect(
      stats, "kubelet_device_plugin_registration_total",
      "[ALPHA] Cumulative number of device plugin registrations. Broken down by resource name.");
  state_->durations.collect(
      stats, "kubelet_device_plugin_alloc_duration_seconds",
      "[ALPHA] Duration in seconds to serve a device plugin Allocation request. Broken down by resource name.");
}

Task<std::optional<agent::AllotmentRefusal>> Devices::allot(kube::Pod pod) {
  co_return co_await state_->allot(std::move(pod));
}

Task<> Devices::prepare_container(kube::Pod pod, std::string container) {
  co_return co_await state_->prepare_container(std::move(pod), std::move(container));
}

agent::ContainerAllotment Devices::of(const kube::Pod& pod, const std::string& container) const {
  const auto* has = state_->devices_of(pod.metadata.uid, container);
  return has != nullptr ? allotment_of(*has) : agent::ContainerAllotment();
}

void Devices::release(const std::string& uid) {
  state_->release(uid);
}

Task<> Devices::plugin_registered(plugins::Plugin plugin) {
  if (std::ranges::find(plugin.versions, kVersion) == plugin.versions.end()) {
    co_return fail(Kind::unsupported, "manager version, {}, is not among plugin supported versions [{}]", kVersion,
                   fmt::join(plugin.versions, " "));
  }
  if (!kube::is_valid_extended_resource(plugin.name)) {
    co_return fail(Kind::invalid, "invalid name of device plugin socket: the ResourceName \"{}\" is invalid",
                   plugin.name);
  }
  co_return co_await state_->connect(std::move(plugin.name), std::move(plugin.endpoint));
}

void Devices::plugin_gone(const plugins::Plugin& plugin) {
  // Who has registered in its place stays.
  const auto endpoint = state_->endpoint_of(plugin.name);
  if (endpoint && endpoint->socket() == plugin.endpoint) {
    state_->stopped(plugin.name);
  }
}

}  // namespace keelson::devices
