// SPDX-License-Identifier: Apache-2.0
// What the runtime and a shim say to each other.
//
// One keelson-shim process is the keeper of one pod sandbox: it holds the sandbox's namespaces (there is no pause
// container), starts containers in them, reaps, writes logs, and keeps exit codes while no daemon listens. It serves a
// unix stream socket, <run_dir>/shim.sock. A frame is u32 length (of what follows), u8 FrameType, then one message in
// the encoding of wire.h; descriptors travel with the frame's first byte (SCM_RIGHTS). Requests of a connection are
// answered in order. After `subscribe` a connection gets Event frames until it closes.
//
// Lifetimes: Create makes the child up to just before exec; Start lets it go. If the shim dies, its containers die with
// it (PR_SET_PDEATHSIG; in a private PID namespace with all their children; in a shared one what they have forked is
// left in their cgroups, for the daemon to kill). If the daemon dies, nothing happens.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cri/shim/wire.h"

namespace keelson::cri::shim {

/// Grows when a peer must know that something is there; fields alone need no new version.
inline constexpr uint32_t kProtocolVersion = 1;

enum class FrameType : uint8_t { request = 1, reply = 2, event = 3 };

/// Whose namespace a thing lives in (CRI NamespaceMode; `target` is joined through target_pid).
enum class NamespaceMode : uint8_t { pod = 0, container = 1, node = 2, target = 3 };

struct Sysctl {
  std::string name;  ///< "net.ipv4.ip_forward"; either spelling of sysctl_name.h
  std::string value;
  template <class V>
  void visit(V& v) {
    v(1, name), v(2, value);
  }
};

/// `length` ids of a user namespace from `container` on are those of the node from `host` on (user_namespaces(7)).
struct IdMapping {
  uint32_t container = 0;
  uint32_t host = 0;
  uint32_t length = 0;
  template <class V>
  void visit(V& v) {
    v(1, container), v(2, host), v(3, length);
  }
};

/// A sandbox to be made by a new shim.
struct SandboxSpec {
  uint32_t version = kProtocolVersion;
  std::string id;
  std::string run_dir;                     ///< exists; gets shim.sock and <container>.exit files
  std::string hostname;                    ///< empty: the node's name; with the node's network, its UTS namespace too
  std::string netns_pin;                   ///< where the network namespace is bind-mounted; empty: the node's network
  NamespaceMode ipc = NamespaceMode::pod;  ///< pod or node
  NamespaceMode pid = NamespaceMode::container;  ///< pod: the shim keeps a PID 1 for all; container; node
  std::vector<Sysctl> sysctls;
  std::vector<std::string> cgroup_procs;  ///< files that the shim writes "0" into at start (v1: tasks)
  int32_t oom_score_adj = 0;              ///< raised or, where allowed, lowered
  std::vector<IdMapping> uid_mappings;    ///< of the sandbox's user namespace, id 0 among them; none: the node's. With
                                          ///< one, network, IPC and PID namespaces are not the node's
  std::vector<IdMapping> gid_mappings;
  std::string shm_dir;  ///< made, and 64 MiB of shared memory mounted on it, for /dev/shm; empty: none
  template <class V>
  void visit(V& v) {
    v(1, version), v(2, id), v(3, run_dir), v(4, hostname), v(5, netns_pin), v(6, ipc), v(7, pid), v(8, sysctls),
        v(9, cgroup_procs), v(10, oom_score_adj), v(11, uid_mappings), v(12, gid_mappings), v(13, shm_dir);
  }
};

enum class MountKind : uint8_t { bind = 0, filesystem = 1, image = 2 };

/// One mount of a container, made inside its mount namespace. The target is resolved inside the root file system:
/// neither ".." nor a symbolic link leads out of it; what is missing of it is made.
struct Mount {
  MountKind kind = MountKind::bind;
  std::string source;                ///< bind: a path of the node; file system: its device or name; image: a folder of
                                     ///< the node, where the layers come together for this container alone
  std::string target;                ///< absolute, inside the container
  std::string type;                  ///< file system: "tmpfs", "proc", ...
  uint64_t flags = 0;                ///< MS_* (mount(2)); a bind mount is recursive, and takes for its top MS_RDONLY,
                                     ///< MS_NOSUID, MS_NODEV and MS_NOEXEC beside the flags of its source
  std::string data;                  ///< file system: its options
  uint64_t propagation = 0;          ///< MS_PRIVATE, MS_SLAVE, MS_SHARED (recursive); 0: MS_PRIVATE
  bool recursive_read_only = false;  ///< also every mount below (mount_setattr(2), Linux 5.12)
  bool idmapped = false;             ///< bind, image: owners are ids of the sandbox's user namespace, as on disk
  std::vector<std::string> layers;   ///< image: folders of the node, top first; flags and propagation are as for bind
  std::string sub_path;              ///< image: a folder in it, instead of all of it; links do not lead out
  template <class V>
  void visit(V& v) {
    v(1, kind), v(2, source), v(3, target), v(4, type), v(5, flags), v(6, data), v(7, propagation),
        v(8, recursive_read_only), v(9, idmapped), v(10, layers), v(11, sub_path);
  }
};

struct Device {
  std::string path;   ///< inside the container
  uint32_t type = 0;  ///< S_IFCHR or S_IFBLK
  uint32_t major = 0;
  uint32_t minor = 0;
  uint32_t mode = 0666;
  uint32_t uid = 0;
  uint32_t gid = 0;
  template <class V>
  void visit(V& v) {
    v(1, path), v(2, type), v(3, major), v(4, minor), v(5, mode), v(6, uid), v(7, gid);
  }
};

struct Rlimit {
  int32_t resource = 0;  ///< RLIMIT_*
  uint64_t soft = 0;
  uint64_t hard = 0;  ///< clamped to what we may (CAP_SYS_RESOURCE)
  template <class V>
  void visit(V& v) {
    v(1, resource), v(2, soft), v(3, hard);
  }
};

/// Bit n is capability n (capabilities(7)).
struct Capabilities {
  uint64_t bounding = 0;
  uint64_t permitted = 0;
  uint64_t effective = 0;
  uint64_t inheritable = 0;
  uint64_t ambient = 0;
  template <class V>
  void visit(V& v) {
    v(1, bounding), v(2, permitted), v(3, effective), v(4, inheritable), v(5, ambient);
  }
};

/// A process in a container: its first one, or an exec.
struct ProcessSpec {
  std::vector<std::string> args;  ///< args[0] is found by the PATH of env
  std::vector<std::string> env;   ///< "NAME=value"; HOME is added from the container's /etc/passwd if absent
  std::string cwd = "/";          ///< made if missing
  std::string
      user;  ///< "", "uid", "name", each with ":gid" or ":group"; looked up in the container's own /etc/passwd, group
  std::vector<uint32_t> supplemental_gids;
  bool image_groups = true;  ///< also the groups that /etc/group gives the user (SupplementalGroupsPolicy Merge)
  Capabilities capabilities;
  bool no_new_privs = false;
  std::string seccomp;  ///< struct sock_filter[] as bytes (seccomp_export_bpf); empty: unconfined
  bool tty = false;
  std::vector<Rlimit> rlimits;
  std::string apparmor_profile;  ///< Kind::unsupported where the kernel has no AppArmor
  std::string selinux_label;     ///< likewise
  template <class V>
  void visit(V& v) {
    v(1, args), v(2, env), v(3, cwd), v(4, user), v(5, supplemental_gids), v(6, image_groups), v(7, capabilities),
        v(8, no_new_privs), v(9, seccomp), v(10, tty), v(11, rlimits), v(12, apparmor_profile), v(13, selinux_label);
  }
};

/// How another OCI runtime makes a container: by its command line (runc(8)), with a bundle as the OCI
/// runtime-spec 1.0.2 has it. The shim mounts the root file system for it, in a mount namespace that the node does not
/// see.
struct OciRuntime {
  std::vector<std::string> command;  ///< the program, by its absolute path, and options of its own; empty: none, the
                                     ///< shim makes the container itself
  std::string state_dir;             ///< its --root
  std::string bundle_dir;            ///< exists, with an empty folder "rootfs"; gets config.json
  uint32_t deadline_ms = 0;          ///< of each of its commands; past it the command is killed
  std::string cgroups_path;          ///< linux.cgroupsPath
  std::string seccomp;               ///< JSON of linux.seccomp, instead of ProcessSpec::seccomp; empty: unconfined
  std::string resources;             ///< JSON of linux.resources
  std::string annotations;           ///< JSON of annotations
  std::string hooks;                 ///< JSON of hooks; empty: none
  template <class V>
  void visit(V& v) {
    v(1, command), v(2, state_dir), v(3, bundle_dir), v(4, deadline_ms), v(5, cgroups_path), v(6, seccomp),
        v(7, resources), v(8, annotations), v(9, hooks);
  }
};

/// A container to be made in the shim's sandbox.
struct ContainerSpec {
  std::string id;
  ProcessSpec process;
  std::vector<std::string> lower_dirs;  ///< overlayfs layers, top first; empty: rootfs_dir itself is the root
  std::string upper_dir;
  std::string work_dir;
  std::string rootfs_dir;       ///< exists; the overlay is mounted on it inside the container's mount namespace only
  std::string overlay_options;  ///< appended to overlayfs' own, e.g. "volatile"
  bool read_only_root = false;
  std::vector<Mount> mounts;  ///< in order; nothing is added: /proc, /dev and /sys are the caller's to name
  std::vector<Device> devices;
  std::vector<std::string> masked_paths;
  std::vector<std::string> read_only_paths;
  NamespaceMode pid = NamespaceMode::container;
  int32_t target_pid = 0;                 ///< with NamespaceMode::target: a process of the PID namespace to join
  std::vector<std::string> cgroup_procs;  ///< one a hierarchy: v1 tasks ("0" is written), v2 cgroup.procs (born into)
  bool cgroup_namespace = true;
  int32_t oom_score_adj = 0;   ///< clamped to what we may
  std::string log_path;        ///< CRI log; empty: output is dropped
  uint64_t log_max_bytes = 0;  ///< rotate past this size; 0: never
  uint32_t log_max_files = 5;
  bool stdin_open = false;
  bool stdin_once = false;  ///< standard input ends with the first attach that had it; a terminal's does not
  OciRuntime oci;
  template <class V>
  void visit(V& v) {
    // Tag 9 was the propagation of "/".
    v(1, id), v(2, process), v(3, lower_dirs), v(4, upper_dir), v(5, work_dir), v(6, rootfs_dir), v(7, overlay_options),
        v(8, read_only_root), v(10, mounts), v(11, devices), v(12, masked_paths), v(13, read_only_paths), v(14, pid),
        v(15, target_pid), v(16, cgroup_procs), v(17, cgroup_namespace), v(18, oom_score_adj), v(19, log_path),
        v(20, log_max_bytes), v(21, log_max_files), v(22, stdin_open), v(23, stdin_once), v(40, oci);
  }
};

enum class ProcessState : uint8_t { created = 0, running = 1, exited = 2 };

/// A container, or an exec while it runs and until its exit has been told.
struct ProcessStatus {
  std::string container_id;
  std::string exec_id;  ///< empty for the container's first process
  int32_t pid = 0;      ///< as the node sees it
  ProcessState state = ProcessState::created;
  int32_t exit_code = 0;   ///< 128 + signal for a death by signal
  int32_t signal = 0;      ///< that signal, or 0
  int64_t created_at = 0;  ///< wall clock, ns since 1970
  int64_t started_at = 0;
  int64_t finished_at = 0;
  template <class V>
  void visit(V& v) {
    v(1, container_id), v(2, exec_id), v(3, pid), v(4, state), v(5, exit_code), v(6, signal), v(7, created_at),
        v(8, started_at), v(9, finished_at);
  }
};

enum class Verb : uint8_t {
  create = 1,  ///< spec -> status; Kind::invalid/... with the step that failed: "mount /proc: permission denied"
  start = 2,   ///< container_id -> status; the error is exec's: "exec /server: No such file or directory"
  signal = 3,  ///< container_id, number, all -> -; a process that has ended is success
  exec = 4,    ///< container_id, exec_id, process; fds stdin, stdout, stderr -> status; with tty: no fds, the reply
               ///< carries the terminal's master
  attach = 5,  ///< container_id, output_only; fds stdout, stderr (write ends, non-blocking) -> -; the reply carries the
               ///< container's standard input or terminal when it has one. With stdin_once the input is given away: it
               ///< ends with the first attach that wanted it
  resize = 6,  ///< container_id, exec_id, width, height -> -
  reopen_log = 7,  ///< container_id -> -
  remove = 8,      ///< container_id -> -; kills what is left of it first
  state = 9,       ///< -> statuses of all
  subscribe = 10,  ///< -> -; then events on this connection. Who does not read them is hung up: connect again, and ask
                   ///< for the state
  shutdown = 11,   ///< kills everything, unpins the netns, removes shim.sock; the reply is the last word
};

struct Request {
  Verb verb = Verb::state;
  std::string container_id;
  std::string exec_id;
  ContainerSpec spec;
  ProcessSpec process;
  int32_t number = 0;  ///< signal
  bool all = false;    ///< every process of the container's PID namespace, not the first alone
  uint32_t width = 0;
  uint32_t height = 0;
  bool output_only = false;  ///< attach: standard input is not wanted
  template <class V>
  void visit(V& v) {
    v(1, verb), v(2, container_id), v(3, exec_id), v(4, spec), v(5, process), v(6, number), v(7, all), v(8, width),
        v(9, height), v(10, output_only);
  }
};

struct Reply {
  bool ok = true;
  uint32_t error_kind = 0;  ///< Kind
  int32_t error_code = 0;
  std::string error;
  std::vector<ProcessStatus> statuses;
  template <class V>
  void visit(V& v) {
    v(1, ok), v(2, error_kind), v(3, error_code), v(4, error), v(5, statuses);
  }
};

/// A process has ended.
struct Event {
  ProcessStatus status;
  template <class V>
  void visit(V& v) {
    v(1, status);
  }
};

}  // namespace keelson::cri::shim
