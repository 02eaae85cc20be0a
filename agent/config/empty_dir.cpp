// SPDX-License-Identifier: Apache-2.0
// empty_dir.h.
#include "agent/config/empty_dir.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "agent/config/group_owner.h"
#include "agent/config/resources.h"
#include "agent/config/volume_mounts.h"
#include "common/fd.h"

namespace keelson::agent {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kHugePages = "HugePages";
constexpr std::string_view kHugePagesOf = "HugePages-";
constexpr std::string_view kResource = "hugepages-";

std::set<int64_t> requested_page_sizes(const kube::Pod& pod) {
  std::set<int64_t> sizes;
  const auto add = [&](const kube::ResourceList& requests) {
    for (const auto& [name, amount] : requests) {
      if (name.starts_with(kResource)) {
        const auto size = kube::Quantity::parse(name.substr(kResource.size()));
        sizes.insert(size ? size->whole() : 0);
      }
    }
  };
  if (pod.spec.resources) {
    add(pod.spec.resources->requests);
  }
  for (const auto* list : {&pod.spec.containers, &pod.spec.init_containers}) {
    for (const auto& container : *list) {
      add(container.resources.requests);
    }
  }
  return sizes;
}

/// What is mounted for its medium; false: there is nothing to be mounted, or it is there.
Result<bool> mount_medium(const kube::Pod& pod, const kube::EmptyDirVolume& volume, const EmptyDirPlace& place) {
  if (volume.medium.empty()) {
    return false;
  }
  if (volume.medium == "Memory") {
    const auto wanted = volume.size_limit ? volume.size_limit->whole() : 0;
    return mount_memory(place.folder, memory_volume_size(pod, place.allocatable, wanted));
  }
  if (volume.medium == kHugePages || volume.medium.starts_with(kHugePagesOf)) {
    KEELSON_TRY(const auto size, huge_page_size(volume.medium, pod));
    return mount_huge_pages(place.folder, size);
  }
  return fail(Kind::unsupported, "unknown storage medium \"{}\"", volume.medium);
}

}  // namespace

int64_t memory_volume_size(const kube::Pod& pod, int64_t allocatable, int64_t wanted) {
  int64_t size = 0;
  for (const auto limit : {allocatable, pod_limits_of(pod, {}).memory_limit, wanted}) {
    if (limit > 0 && (size == 0 || limit < size)) {
      size = limit;
    }
  }
  return size;
}

Result<int64_t> huge_page_size(const std::string& medium, const kube::Pod& pod) {
  const auto sizes = requested_page_sizes(pod);
  if (medium == kHugePages && sizes.size() > 1) {
    return fail(Kind::invalid, "medium: {} can't be used if container requests multiple huge page sizes", medium);
  }
  auto found = sizes.begin();
  if (medium != kHugePages) {
    const auto wanted = kube::Quantity::parse(medium.substr(kHugePagesOf.size()));
    found = wanted ? sizes.find(wanted->whole()) : sizes.end();
  }
  if (found == sizes.end()) {
    return fail(Kind::invalid,
                "medium {}: hugePages storage requested, but there is no resource request for huge pages", medium);
  }
  return *found;
}

Result<> make_empty_dir(const kube::Pod& pod, const kube::EmptyDirVolume& volume, const EmptyDirPlace& place) {
  const auto ready = place.ready_folder + "/ready";
  std::error_code error;
  // Files in it are the pod's, whoever made the volume.
  const bool used = fs::exists(place.folder) && !fs::is_empty(place.folder, error) && !error;
  const bool made = used || (fs::exists(ready) && fs::exists(place.folder));
  // After a restart of the machine memory is empty, whatever stands on the disk.
  KEELSON_TRY(const auto mounted, mount_medium(pod, volume, place));
  if (made && !mounted) {
    return {};
  }
  KEELSON_DO(make_directories(place.folder));
  if (::chmod(place.folder.c_str(), 0777) < 0) {
    return fail_errno(errno, "set the mode of {}", place.folder);
  }
  KEELSON_DO(give_to_group(place.folder, pod.spec.security_context));
  KEELSON_DO(make_directories(place.ready_folder, 0750));
  KEELSON_TRY(auto marker, open_file(ready, O_WRONLY | O_CREAT, 0644));
  return {};
}

}  // namespace keelson::agent
