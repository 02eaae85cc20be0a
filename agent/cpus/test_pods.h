// SPDX-License-Identifier: Apache-2.0
// Pods for tests of who gets which CPUs.
#pragma once

#include <string>

#include "kube/pod.h"

namespace keelson::cpus {

/// With so much CPU, as a quantity, and some memory, requested and as a limit.
inline kube::Container container(const std::string& name, const std::string& cpu) {
  kube::Container made;
  made.name = name;
  for (auto* list : {&made.resources.requests, &made.resources.limits}) {
    (*list)["cpu"] = kube::Quantity::parse(cpu).value();
    (*list)["memory"] = kube::Quantity::of(1 << 20);
  }
  return made;
}

/// Guaranteed, of one container "main".
inline kube::Pod pod_of(const std::string& uid, const std::string& cpu) {
  kube::Pod pod;
  pod.metadata.ns = "default";
  pod.metadata.name = pod.metadata.uid = uid;
  pod.spec.containers = {container("main", cpu)};
  return pod;
}

}  // namespace keelson::cpus
