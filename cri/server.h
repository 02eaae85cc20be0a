// SPDX-License-Identifier: Apache-2.0
// The runtime role: CRI v1 on a unix socket, and everything behind it.
//
//   kubelet, agent, crictl --gRPC--> Server --> one shim a sandbox --> containers
//
// A Server owns the metadata (SQLite in state_dir), the images, and a connection to each living shim. Containers do not
// need it: stop it, kill it, start it again, and they run on with the same PIDs; what happened meanwhile is read back
// from the shims at start.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/result.h"

namespace keelson::cri {

/// A RuntimeClass handler beside ours: an OCI runtime by its command line (runc(8): create, start, exec, kill, delete
/// with
/// --root, --log and --log-format before the verb).
struct RuntimeHandler {
  std::string name;                  ///< as RunPodSandboxRequest.runtime_handler has it
  std::vector<std::string> command;  ///< the program by its absolute path, then options of its own
};

/// "runc=/usr/sbin/runc", with options behind the program, separated by spaces. Kind::invalid tells what is wrong; the
/// names "" and "keelson" are ours.
Result<RuntimeHandler> parse_runtime_handler(const std::string& text);

/// Where things are and how big they may get. Every path is absolute. Folders are made on start (0711 state and run;
/// root alone enters those of images, containers and sandboxes).
struct RuntimeOptions {
  std::string state_dir = "/var/lib/keelson/runtime";  ///< survives a reboot: metadata, images, writable layers
  std::string run_dir = "/run/keelson/runtime";        ///< gone after a reboot: shim sockets, pinned netns
  std::string socket = "/run/keelson/cri.sock";        ///< where CRI is served, mode 0660

  std::string shim_binary = "/usr/lib/keelson/keelson-shim";
  std::string cni_conf_dir = "/etc/cni/net.d";  ///< first *.conflist/*.conf by name is used
  std::vector<std::string> cni_bin_dirs = {"/opt/cni/bin", "/usr/lib/cni"};
  /// Each *.tar in it is loaded (in the order of names) before the socket takes calls; empty: none. A bad one is logged
  /// and passed over.
  std::string image_archive_dir;
  std::string registry_config_dir = "/etc/keelson/certs.d";  ///< <registry>/hosts.toml, as containerd's certs.d
  /// Where vendors describe CDI devices; what is in a later folder goes before an earlier one's.
  std::vector<std::string> cdi_dirs = {"/etc/cdi", "/var/run/cdi"};
  std::string seccomp_dir = "/var/lib/kubelet/seccomp";  ///< root of Localhost profiles given by relative path

  /// What pods may ask for beside "" and "keelson"; each name once. A program that is not there fails the pods that ask
  /// for it, and nothing else.
  std::vector<RuntimeHandler> handlers;

  /// systemd makes the cgroups: a cgroup_parent is a slice's name, sandboxes and containers are scopes in it. False:
  /// the cgroupfs driver. RuntimeConfig tells; a change needs a node without sandboxes.
  bool systemd_cgroups = false;
  /// Parent of sandboxes that name no cgroup_parent, as a path.
  std::string default_cgroup_parent = "/keelson";

  /// The shim rotates a container's log when it grows past this; 0: never (the kubelet rotates).
  uint64_t log_max_bytes = 0;
  uint32_t log_max_files = 5;

  /// Where Exec, Attach and PortForward URLs point. Port 0: any free one.
  std::string streaming_address = "127.0.0.1";
  uint16_t streaming_port = 0;
  /// A session that carries nothing for so long ends.
  std::chrono::milliseconds streaming_idle = std::chrono::hours(4);
  /// Both or neither: certificate (with its chain) and key in PEM, with which the URLs are https://. Read anew when
  /// they are replaced.
  std::string streaming_tls_cert_file;
  std::string streaming_tls_key_file;

  /// Limits on one RPC's work outside us.
  std::chrono::seconds cni_timeout{60};
  std::chrono::seconds shim_timeout{30};
};

/// A running runtime. start() and stop() from one thread; the rest is inside. Destroying it stops it.
class Server {
 public:
  /// Opens the metadata, adopts living shims, undoes what an earlier crash left half-made, and serves. On return the
  /// socket accepts calls. Errors: conflict (another runtime holds state_dir), invalid (a path), unavailable (socket),
  /// internal.
  static Result<std::unique_ptr<Server>> start(RuntimeOptions options);
  virtual ~Server() = default;

  /// Ends open calls (streams are cancelled, unary calls get 2 s) and closes the socket. Containers run on. Idempotent.
  virtual void stop() = 0;

 protected:
  Server() = default;
};

}  // namespace keelson::cri
