// SPDX-License-Identifier: Apache-2.0
// What vendors say that a container gets with a device: CDI, the Container Device Interface (its specification, 0.3 to
// 0.8 and 1.0, of tags.cncf.io/container-device-interface).
//
//   CDI_devices, annotations cdi.k8s.io/* --wanted_devices()--> "vendor.com/class=name"
//   /etc/cdi/*.{json,yaml}, /var/run/cdi --find_edits()--> Edits --build_spec()--> the shim's orders
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "cri/proto/record.pb.h"

namespace keelson::cri::cdi {

struct DeviceNode {
  std::string path;       ///< In the container.
  std::string host_path;  ///< Empty: the same.
  std::string type;       ///< "b", "c", "u", "p"; empty: as on the node, as are the numbers then.
  std::optional<uint32_t> major;
  std::optional<uint32_t> minor;
  std::optional<uint32_t> mode;
  std::optional<uint32_t> uid;
  std::optional<uint32_t> gid;
  std::string permissions = "rwm";
  bool operator==(const DeviceNode&) const = default;
};

struct Mount {
  std::string host_path;
  std::string container_path;
  std::string type;  ///< Empty: a bind mount.
  std::vector<std::string> options;
  bool operator==(const Mount&) const = default;
};

struct Hook {
  std::string name;  ///< "createContainer" ...: as OCI's runtime-spec has them.
  std::string path;
  std::vector<std::string> args;
  std::vector<std::string> env;
  std::optional<int64_t> timeout;  ///< Seconds.
  bool operator==(const Hook&) const = default;
};

/// Of all devices of a container, in their order.
struct Edits {
  std::vector<std::string> env;  ///< "NAME=value"; wins over what the container has otherwise.
  std::vector<DeviceNode> nodes;
  std::vector<Mount> mounts;
  std::vector<Hook> hooks;
  std::vector<uint32_t> groups;  ///< additionalGids
  bool operator==(const Edits&) const = default;
};

/// Names of devices that a container is to have: of its CDI_devices, then of its annotations, each once. Kind::invalid
/// names what is no "vendor.com/class=name".
Result<std::vector<std::string>> wanted_devices(const ::runtime::v1::ContainerConfig& config);

/// What these devices come with, by the specs in `folders`; a device of a later folder goes before one of the same name
/// in an earlier. Reads files. Kind::not_found: nobody describes a device, or two files of one folder do; what of the
/// specs cannot be read is told with it.
Result<Edits> find_edits(const std::vector<std::string>& folders, const std::vector<std::string>& devices);

}  // namespace keelson::cri::cdi
