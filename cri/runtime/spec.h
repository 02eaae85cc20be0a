// SPDX-License-Identifier: Apache-2.0
// From CRI's wish to the shim's orders: everything that a container is made of, as one value. Reads files of the node
// (seccomp profiles, host paths), changes nothing.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/result.h"
#include "cri/proto/record.pb.h"
#include "cri/runtime/capabilities.h"
#include "cri/runtime/cdi.h"
#include "cri/runtime/id_mappings.h"
#include "cri/shim/protocol.h"

namespace keelson::cri {

/// What an image says about its processes (OCI image-spec config).
struct ImageDefaults {
  std::vector<std::string> entrypoint;
  std::vector<std::string> command;
  std::vector<std::string> env;
  std::string working_dir;
  std::string user;
};

/// An image that is mounted into a container.
struct ImageVolume {
  std::string id;
  std::string folder;               ///< of the node, where its layers come together for the container
  std::vector<std::string> layers;  ///< folders, top first; the last is empty
};

/// Everything that a spec depends on. References must outlive the call only.
struct SpecInput {
  const ::runtime::v1::ContainerConfig& config;
  const ::runtime::v1::PodSandboxConfig& sandbox;
  const ImageDefaults& image;
  std::string id;
  std::string container_dir;              ///< has upper/ and work/; where the root is mounted
  std::string sandbox_dir;                ///< has shm/
  std::string sandbox_files_dir;          ///< has hostname, hosts, resolv.conf
  std::string seccomp_dir;                ///< root of Localhost profiles given by relative path
  std::vector<std::string> layers;        ///< top first
  std::vector<std::string> cgroup_procs;  ///< one a hierarchy
  bool unified_cgroups = false;           ///< pure cgroup v2
  int32_t target_pid = 0;                 ///< with NamespaceMode TARGET
  IdMappings users{};                     ///< the sandbox's user namespace
  std::string log_path;
  bool apparmor = false;                       ///< the kernel has it
  std::map<int, ImageVolume> image_volumes{};  ///< by number in config.mounts
  cdi::Edits cdi_edits{};                      ///< what comes with CDI devices, hooks aside
};

/// The whole container. Errors (invalid) name the CRI field: "linux.security_context.capabilities: unknown capability
/// ...".
Result<shim::ContainerSpec> build_spec(const SpecInput& input);

/// The arguments: command replaces the entrypoint, and drops the image's command; args replace the image's command
/// alone. Kind::invalid if nothing is left to run.
Result<std::vector<std::string>> process_args(const ::runtime::v1::ContainerConfig& config, const ImageDefaults& image);
/// PATH, HOSTNAME and TERM, then the image's, then the config's; a later value of a name replaces an earlier one in its
/// place.
std::vector<std::string> process_env(const ::runtime::v1::ContainerConfig& config, const ImageDefaults& image,
                                     const std::string& hostname);
/// Sets "NAME=value", in the place of an earlier value.
void set_env(std::vector<std::string>& env, std::string entry);
/// "user[:group]" from run_as_user/username/group, else the image's. A group alone is Kind::invalid.
Result<std::string> process_user(const ::runtime::v1::LinuxContainerSecurityContext& security,
                                 const ImageDefaults& image);

/// An exec in a container: the same rights, another command and terminal.
shim::ProcessSpec exec_process(const shim::ProcessSpec& container, std::vector<std::string> args, bool tty);

/// Steps of build_spec, each in a file of its own.
Result<> add_security(const SpecInput& input, shim::ContainerSpec& spec);
Result<> add_mounts(const SpecInput& input, shim::ContainerSpec& spec);
Result<> add_devices(const SpecInput& input, shim::ContainerSpec& spec);
/// Variables, groups and device nodes of CDI; its mounts are add_mounts()'.
Result<> add_cdi(const SpecInput& input, shim::ContainerSpec& spec);
/// One of CDI's mounts. Errors name its path in the container.
Result<shim::Mount> cdi_mount(const cdi::Mount& wanted);

/// What the device cgroup is to allow: "c 10:200 rw", one a device of `spec`, with the permissions that were asked for
/// it; "a" for a privileged container.
std::vector<std::string> device_rules(const SpecInput& input, const shim::ContainerSpec& spec);

/// The JSON of a Localhost seccomp profile; `root` is where relative paths begin. Kind::invalid if it cannot be read.
Result<std::string> localhost_seccomp(const ::runtime::v1::SecurityProfile& profile, const std::string& root);

}  // namespace keelson::cri
