// SPDX-License-Identifier: Apache-2.0
// emptyDir volumes: a folder, memory (tmpfs) or huge pages (hugetlbfs), made once for a pod's whole life.
#pragma once

#include <cstdint>
#include <string>

#include "common/result.h"
#include "kube/pod.h"

namespace keelson::agent {

/// What a volume in memory may hold, in bytes: the least of the node's allocatable memory (0: not known), what the
/// pod's cgroup is limited to and `wanted` (the volume's sizeLimit; 0: none). 0: half of the machine's memory, as tmpfs
/// has it.
int64_t memory_volume_size(const kube::Pod& pod, int64_t allocatable, int64_t wanted);

/// The size of the pages of a volume of this medium ("HugePages", "HugePages-2Mi"), which a container of the pod must
/// request. Kind::invalid, with the kubelet's text: none does, or several sizes and the medium names none.
Result<int64_t> huge_page_size(const std::string& medium, const kube::Pod& pod);

struct EmptyDirPlace {
  std::string folder;        ///< where it is, or shall be
  std::string ready_folder;  ///< the kubelet's: a file "ready" in it tells that the volume was made
  int64_t allocatable = 0;   ///< the node's memory for pods, bytes; 0: not known
};

/// Makes it, all-writable and given to the pod's fsGroup. What is there is left as it is: its files are the pod's.
Result<> make_empty_dir(const kube::Pod& pod, const kube::EmptyDirVolume& volume, const EmptyDirPlace& place);

}  // namespace keelson::agent
