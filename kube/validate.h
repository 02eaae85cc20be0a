// SPDX-License-Identifier: Apache-2.0
// The parts that validation of a pod is made of; one .cpp each.
#pragma once

#include <map>
#include <string_view>

#include "kube/checks.h"
#include "kube/objects.h"
#include "kube/path.h"
#include "kube/pod.h"

namespace keelson::kube {

using VolumesByName = std::map<std::string_view, const Volume*>;

/// Name (present; its form is the caller's to check), labels, annotations.
void check_meta(Checks& checks, const ObjectMeta& metadata, const Path& path);
/// Volumes; answers with those that mounts may name.
VolumesByName check_volumes(Checks& checks, const std::vector<Volume>& volumes, const Path& path);
/// spec.initContainers and spec.containers.
void check_containers(Checks& checks, const PodSpec& spec, const VolumesByName& volumes, const Path& path);
void check_env(Checks& checks, const Container& container, const Path& path);
void check_mounts(Checks& checks, const Container& container, const VolumesByName& volumes, const Path& path);
void check_resources(Checks& checks, const ResourceRequirements& resources, const Path& path);
void check_probes(Checks& checks, const Container& container, int64_t grace_seconds, const Path& path);
void check_security(Checks& checks, const Container& container, bool host_users, const Path& path);
void check_pod_security(Checks& checks, const PodSpec& spec, const Path& path);
void check_profiles(Checks& checks, const std::optional<SecurityProfile>& seccomp,
                    const std::optional<SecurityProfile>& app_armor, const Path& path);
void check_field_ref(Checks& checks, const FieldRef& ref, bool in_volume, const Path& path);
void check_resource_field_ref(Checks& checks, const ResourceFieldRef& ref, bool in_volume, const Path& path);

}  // namespace keelson::kube
