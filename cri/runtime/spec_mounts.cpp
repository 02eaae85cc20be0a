// SPDX-License-Identifier: Apache-2.0
// spec.h: what is mounted where.
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "common/fd.h"
#include "cri/runtime/spec.h"

namespace keelson::cri {

namespace v1 = ::runtime::v1;

namespace {

constexpr uint64_t kNothing = MS_NOSUID | MS_NOEXEC | MS_NODEV;

shim::Mount filesystem(std::string type, std::string target, uint64_t flags, std::string data = "") {
  shim::Mount mount;
  mount.kind = shim::MountKind::filesystem;
  mount.source = type;
  mount.type = std::move(type);
  mount.target = std::move(target);
  mount.flags = flags;
  mount.data = std::move(data);
  return mount;
}

shim::Mount bind_mount(std::string source, std::string target, uint64_t flags = 0) {
  shim::Mount mount;
  mount.source = std::move(source);
  mount.target = std::move(target);
  mount.flags = flags;
  return mount;
}

std::string clean(const std::string& path) {
  auto text = std::filesystem::path(path).lexically_normal().string();
  while (text.size() > 1 && text.ends_with('/')) {
    text.pop_back();
  }
  return text;
}

// On v1 and hybrid the hierarchies as the container's cgroup namespace shows them, on v2 the one.
void add_cgroups(const SpecInput& input, uint64_t read_only, std::vector<shim::Mount>& mounts) {
  if (input.unified_cgroups) {
    mounts.push_back(filesystem("cgroup2", "/sys/fs/cgroup", kNothing | read_only));
    return;
  }
  mounts.push_back(filesystem("tmpfs", "/sys/fs/cgroup", kNothing, "mode=755,size=1m"));
  for (const auto& file : input.cgroup_procs) {
    // ".../cgroup/<controllers>/<path>/cgroup.procs": the part after the mount point names the controllers.
    constexpr std::string_view kRoot = "/sys/fs/cgroup/";
    if (!file.starts_with(kRoot)) {
      continue;
    }
    const auto name = file.substr(kRoot.size(), file.find('/', kRoot.size()) - kRoot.size());
    const bool second = name == "unified";
    if (!second) {
      mounts.push_back(filesystem("cgroup", "/sys/fs/cgroup/" + name, kNothing | read_only,
                                  name == "systemd" ? "none,name=systemd" : name));
    }
  }
}

void add_system(const SpecInput& input, std::vector<shim::Mount>& mounts) {
  const auto& security = input.config.linux().security_context();
  const uint64_t read_only = security.privileged() ? 0 : MS_RDONLY;
  mounts.push_back(filesystem("proc", "/proc", kNothing));
  mounts.push_back(filesystem("tmpfs", "/dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"));
  mounts.push_back(
      filesystem("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"));
  mounts.push_back(filesystem("mqueue", "/dev/mqueue", kNothing));
  mounts.push_back(filesystem("sysfs", "/sys", kNothing | read_only));
  add_cgroups(input, read_only, mounts);
}

// resolv.conf, hostname, hosts and shared memory come from the sandbox, unless the client mounts its own.
void add_sandbox_files(const SpecInput& input, std::vector<shim::Mount>& mounts) {
  const auto& security = input.config.linux().security_context();
  const uint64_t read_only = security.readonly_rootfs() ? MS_RDONLY : 0;
  const auto own = [&](const std::string& target) {
    return std::ranges::any_of(input.config.mounts(),
                               [&](const auto& mount) { return clean(mount.container_path()) == target; });
  };
  for (const std::string name : {"hostname", "hosts", "resolv.conf"}) {
    if (!own("/etc/" + name)) {
      mounts.push_back(bind_mount(input.sandbox_files_dir + "/" + name, "/etc/" + name, read_only));
      mounts.back().idmapped = true;
    }
  }
  if (!own("/dev/shm")) {
    const bool host = security.namespace_options().ipc() == v1::NODE;
    mounts.push_back(bind_mount(host ? "/dev/shm" : input.sandbox_dir + "/shm", "/dev/shm", host ? 0 : kNothing));
  }
}

uint64_t propagation_of(v1::MountPropagation propagation) {
  switch (propagation) {
    case v1::PROPAGATION_HOST_TO_CONTAINER:
      return MS_SLAVE;
    case v1::PROPAGATION_BIDIRECTIONAL:
      return MS_SHARED;
    default:
      return MS_PRIVATE;
  }
}

Result<shim::Mount> requested(const v1::Mount& wanted, const IdMappings& users) {
  if (wanted.container_path().empty()) {
    return fail(Kind::invalid, "container_path is empty");
  }
  if (wanted.recursive_read_only()) {
    if (!wanted.readonly()) {
      return fail(Kind::invalid, "{}: recursive_read_only needs readonly", wanted.container_path());
    }
    if (wanted.propagation() != v1::PROPAGATION_PRIVATE) {
      return fail(Kind::invalid, "{}: recursive_read_only needs PROPAGATION_PRIVATE", wanted.container_path());
    }
  }
  struct stat info{};
  if (::stat(wanted.host_path().c_str(), &info) != 0) {
    // As containerd and Docker: a host path that is not there becomes a folder.
    KEELSON_DO(make_directories(wanted.host_path()).context("host_path"));
  }
  std::error_code error;
  const auto source = std::filesystem::canonical(wanted.host_path(), error);
  if (error) {
    return fail_errno(error.value(), "host_path {}", wanted.host_path());
  }
  auto mount = bind_mount(source.string(), clean(wanted.container_path()), wanted.readonly() ? MS_RDONLY : 0);
  mount.propagation = propagation_of(wanted.propagation());
  mount.recursive_read_only = wanted.recursive_read_only();
  KEELSON_TRY(mount.idmapped, wants_owners_mapped(wanted, users));
  return mount;
}

/// Nobody writes it, and nothing runs from it (KEP-4639).
Result<shim::Mount> image_mount(const v1::Mount& wanted, const ImageVolume& image, const IdMappings& users) {
  if (wanted.container_path().empty()) {
    return fail(Kind::invalid, "container_path is empty");
  }
  shim::Mount mount;
  mount.kind = shim::MountKind::image;
  mount.source = image.folder;
  mount.target = clean(wanted.container_path());
  mount.flags = MS_RDONLY | kNothing;
  mount.layers = image.layers;
  mount.sub_path = wanted.image_sub_path();
  KEELSON_TRY(mount.idmapped, wants_owners_mapped(wanted, users));
  return mount;
}

}  // namespace

Result<> add_mounts(const SpecInput& input, shim::ContainerSpec& spec) {
  add_system(input, spec.mounts);
  add_sandbox_files(input, spec.mounts);
  std::vector<shim::Mount> wanted;
  for (int i = 0; i < input.config.mounts_size(); ++i) {
    const auto& from = input.config.mounts(i);
    const auto image = input.image_volumes.find(i);
    KEELSON_TRY(auto mount, (image != input.image_volumes.end() ? image_mount(from, image->second, input.users)
                                                                : requested(from, input.users))
                                .context("mounts[{}]", i));
    wanted.push_back(std::move(mount));
  }
  for (const auto& of_device : input.cdi_edits.mounts) {
    KEELSON_TRY(auto mount, cdi_mount(of_device));
    std::erase_if(wanted, [&](const auto& other) { return other.target == mount.target; });
    wanted.push_back(std::move(mount));
  }
  // A mount below another's target comes after it, whatever order the client gave; what the client mounts over a system
  // mount wins.
  std::ranges::stable_sort(wanted, {}, [](const auto& mount) { return std::ranges::count(mount.target, '/'); });
  for (auto& mount : wanted) {
    std::erase_if(spec.mounts, [&](const auto& system) { return system.target == mount.target; });
    spec.mounts.push_back(std::move(mount));
  }
  return {};
}

}  // namespace keelson::cri
