// SPDX-License-Identifier: Apache-2.0
// Security settings of a pod and of a container. What is unset in the container comes from the pod, then from the
// image.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keelson::kube {

/// Of seccomp and AppArmor alike.
enum class ProfileType { unset, unconfined, runtime_default, localhost };  ///< "", "Unconfined", "RuntimeDefault" ...
enum class ProcMount { default_mount, unmasked };                          ///< "Default", "Unmasked".
enum class SupplementalGroupsPolicy { merge, strict };                     ///< "Merge", "Strict".
enum class FsGroupChangePolicy { always, on_root_mismatch };               ///< "Always", "OnRootMismatch".
std::string_view to_string(ProfileType type);
std::string_view to_string(ProcMount mount);
std::string_view to_string(SupplementalGroupsPolicy policy);
std::string_view to_string(FsGroupChangePolicy policy);

/// seccompProfile or appArmorProfile.
struct SecurityProfile {
  ProfileType type = ProfileType::unset;  ///< Never unset in a valid pod.
  std::optional<std::string>
      localhost_profile;  ///< A file or profile on the node; only with localhost, and then required.
  bool operator==(const SecurityProfile&) const = default;
};

struct SeLinuxOptions {
  std::string user;
  std::string role;
  std::string type;
  std::string level;
  bool operator==(const SeLinuxOptions&) const = default;
};

/// Names without "CAP_" ("NET_ADMIN"), or "ALL". Added to the runtime's default set first, then dropped.
struct Capabilities {
  std::vector<std::string> add;
  std::vector<std::string> drop;
  bool operator==(const Capabilities&) const = default;
};

/// Container.securityContext. Every field wins over the pod's of the same name.
struct SecurityContext {
  std::optional<Capabilities> capabilities;
  std::optional<bool> privileged;
  std::optional<SeLinuxOptions> se_linux_options;
  std::optional<int64_t> run_as_user;
  std::optional<int64_t> run_as_group;
  std::optional<bool> run_as_non_root;  ///< True: refuse to start as uid 0.
  std::optional<bool> read_only_root_filesystem;
  std::optional<bool> allow_privilege_escalation;  ///< False: no_new_privs.
  std::optional<ProcMount> proc_mount;
  std::optional<SecurityProfile> seccomp_profile;
  std::optional<SecurityProfile> app_armor_profile;
  bool operator==(const SecurityContext&) const = default;
};

struct Sysctl {
  std::string name;  ///< With dots or slashes.
  std::string value;
  bool operator==(const Sysctl&) const = default;
};

/// Pod.spec.securityContext.
struct PodSecurityContext {
  std::optional<SeLinuxOptions> se_linux_options;
  std::optional<int64_t> run_as_user;
  std::optional<int64_t> run_as_group;
  std::optional<bool> run_as_non_root;
  std::vector<int64_t> supplemental_groups;
  std::optional<SupplementalGroupsPolicy> supplemental_groups_policy;  ///< Unset: merge with the image's groups.
  std::optional<int64_t> fs_group;                                     ///< Group that shall own the volumes.
  std::optional<FsGroupChangePolicy> fs_group_change_policy;           ///< Unset: always.
  std::optional<SecurityProfile> seccomp_profile;
  std::optional<SecurityProfile> app_armor_profile;
  std::string se_linux_change_policy;  ///< "MountOption", "Recursive" or empty.
  std::vector<Sysctl> sysctls;
  bool operator==(const PodSecurityContext&) const = default;
};

}  // namespace keelson::kube
