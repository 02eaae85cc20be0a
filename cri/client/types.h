// SPDX-License-Identifier: Apache-2.0
// The messages of CRI v1 that a node agent uses, as plain values. Names are CRI's own (k8s.io/cri-api runtime/v1), in
// snake case; a field that is not here keeps CRI's default.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace keelson::cri {

using StringMap = std::map<std::string, std::string>;

enum class Namespace { pod = 0, container = 1, node = 2, target = 3 };
enum class Propagation { none = 0, host_to_container = 1, bidirectional = 2 };
enum class ProfileKind { runtime_default = 0, unconfined = 1, localhost = 2 };
enum class Protocol { tcp = 0, udp = 1, sctp = 2 };
enum class ContainerState { created = 0, running = 1, exited = 2, unknown = 3 };

/// `length` ids of a user namespace from `container` on are those of the node from `host` on.
struct IdMapping {
  uint32_t container = 0;
  uint32_t host = 0;
  uint32_t length = 0;
};

struct NamespaceOptions {
  Namespace network = Namespace::pod;
  Namespace pid = Namespace::container;
  Namespace ipc = Namespace::pod;
  std::string target_id;
  std::optional<IdMapping> users;  ///< of users and of groups; none: the node's user namespace
};

/// Seccomp or AppArmor; `path` for localhost.
struct SecurityProfile {
  ProfileKind kind = ProfileKind::unconfined;
  std::string path;
};

struct SeLinuxOptions {
  std::string user, role, type, level;
};

struct PortMapping {
  Protocol protocol = Protocol::tcp;
  int32_t container_port = 0;
  int32_t host_port = 0;
  std::string host_ip;
};

struct DnsConfig {
  std::vector<std::string> servers, searches, options;
};

/// CPU in cgroup v1 words; the runtime converts for v2. 0 is "not set".
struct LinuxResources {
  int64_t cpu_period = 0;
  int64_t cpu_quota = 0;
  int64_t cpu_shares = 0;
  int64_t memory_limit_bytes = 0;
  int64_t memory_swap_limit_bytes = 0;
  int64_t oom_score_adj = 0;
  std::string cpuset_cpus;
  std::string cpuset_mems;
  StringMap hugepage_limits;  ///< page size ("2Mi") to bytes, as decimal text
  StringMap unified;
};

struct SandboxSecurity {
  NamespaceOptions namespaces;
  std::optional<int64_t> run_as_user;
  std::optional<int64_t> run_as_group;
  std::vector<int64_t> supplemental_groups;
  bool strict_groups = false;  ///< SupplementalGroupsPolicy Strict
  bool privileged = false;
  bool read_only_root = false;
  std::optional<SecurityProfile> seccomp;
  std::optional<SecurityProfile> apparmor;
  std::optional<SeLinuxOptions> selinux;
};

struct PodIdentity {
  std::string name;
  std::string uid;
  std::string ns;
  uint32_t attempt = 0;
};

struct SandboxConfig {
  PodIdentity metadata;
  std::string hostname;
  std::string log_directory;
  DnsConfig dns;
  std::vector<PortMapping> port_mappings;
  StringMap labels;
  StringMap annotations;
  std::string cgroup_parent;
  SandboxSecurity security;
  StringMap sysctls;
  LinuxResources overhead;
  LinuxResources resources;
};

struct Mount {
  std::string container_path;
  std::string host_path;  ///< empty for an image
  bool read_only = false;
  bool selinux_relabel = false;
  Propagation propagation = Propagation::none;
  bool recursive_read_only = false;
  std::optional<IdMapping> users;    ///< the pod's: its owners on the node are those inside
  std::string image;                 ///< its files are mounted: the reference that the runtime knows it by
  std::string user_specified_image;  ///< as the pod names it
  std::string image_sub_path;        ///< a folder of the image, instead of all of it
};

struct Device {
  std::string container_path, host_path, permissions;
};

struct ContainerSecurity {
  std::vector<std::string> add_capabilities, drop_capabilities;
  bool privileged = false;
  NamespaceOptions namespaces;
  std::optional<int64_t> run_as_user;
  std::string run_as_username;
  std::optional<int64_t> run_as_group;
  bool read_only_root = false;
  std::vector<int64_t> supplemental_groups;
  bool strict_groups = false;
  bool no_new_privs = false;
  std::vector<std::string> masked_paths, read_only_paths;
  std::optional<SecurityProfile> seccomp;
  std::optional<SecurityProfile> apparmor;
  std::optional<SeLinuxOptions> selinux;
};

struct ContainerConfig {
  std::string name;
  uint32_t attempt = 0;
  std::string image;  ///< the reference that the runtime knows it by
  std::string user_specified_image;
  std::vector<std::string> command, args;
  std::string working_dir;
  std::vector<std::pair<std::string, std::string>> envs;
  std::vector<Mount> mounts;
  std::vector<Device> devices;
  std::vector<std::string> cdi_devices;  ///< fully qualified names, "vendor.com/class=name"
  StringMap labels;
  StringMap annotations;
  std::string log_path;  ///< below the sandbox's log_directory
  bool stdin_open = false;
  bool stdin_once = false;
  bool tty = false;
  LinuxResources resources;
  ContainerSecurity security;
};

struct SandboxStatus {
  std::string id;
  PodIdentity metadata;
  bool ready = false;
  int64_t created_at = 0;        ///< ns since 1970
  std::vector<std::string> ips;  ///< primary first
  StringMap labels;
  StringMap annotations;
  std::string runtime_handler;
};

/// Whom a container's first process runs as.
struct LinuxContainerUser {
  int64_t uid = 0;
  int64_t gid = 0;
  std::vector<int64_t> supplemental_groups;
};

struct ContainerStatus {
  std::string id;
  std::string sandbox_id;  ///< in lists only
  std::string name;
  uint32_t attempt = 0;
  ContainerState state = ContainerState::unknown;
  int64_t created_at = 0;
  int64_t started_at = 0;
  int64_t finished_at = 0;
  int32_t exit_code = 0;
  std::string image;      ///< as asked for
  std::string image_ref;  ///< id or digest
  std::string image_id;
  std::string reason;
  std::string message;
  StringMap labels;
  StringMap annotations;
  std::string log_path;
  std::vector<Mount> mounts;
  std::optional<LinuxResources> resources;  ///< not told by old runtimes; nor is the user
  std::optional<LinuxContainerUser> user;
};

struct ListFilter {
  std::string id;
  std::string sandbox_id;
  StringMap labels;
};

struct Image {
  std::string id;
  std::vector<std::string> repo_tags, repo_digests;
  uint64_t size = 0;
  std::optional<int64_t> uid;
  std::string username;
  bool pinned = false;
};

/// Credentials; any may be empty. Never logged.
struct AuthConfig {
  std::string username, password, auth, server_address, identity_token, registry_token;
};

/// Of a folder and all below it.
struct FileUse {
  std::string mountpoint;  ///< a path on its file system
  uint64_t bytes = 0;
  uint64_t inodes = 0;
};

struct ExecResult {
  std::string out, error;
  int32_t exit_code = 0;
};

struct Condition {
  std::string type;
  bool status = false;
  std::string reason, message;
};

/// What a runtime handler can; old runtimes tell of none.
struct HandlerFeatures {
  std::string name;  ///< empty: the default
  bool user_namespaces = false;
  bool recursive_read_only_mounts = false;
};

struct RuntimeStatus {
  std::vector<Condition> conditions;
  std::vector<HandlerFeatures> handlers;
  std::optional<bool> supplemental_groups_policy;  ///< not told by old runtimes
};

struct RuntimeVersion {
  std::string name, version, api_version;
};

enum class ContainerEventKind { created = 0, started = 1, stopped = 2, removed = 3 };

struct ContainerEvent {
  ContainerEventKind kind = ContainerEventKind::created;
  std::string container_id;  ///< or the sandbox's
  PodIdentity pod;
  int64_t created_at = 0;
};

}  // namespace keelson::cri
