// SPDX-License-Identifier: Apache-2.0
// Our plain structs to CRI's messages and back.
#pragma once

#include "cri/client/types.h"
#include "cri/proto/api.pb.h"

namespace keelson::cri {

namespace v1 = ::runtime::v1;

v1::PodSandboxConfig to_proto(const SandboxConfig& config);
v1::ContainerConfig to_proto(const ContainerConfig& config);
v1::LinuxContainerResources to_proto(const LinuxResources& resources);
v1::AuthConfig to_proto(const AuthConfig& auth);
SandboxStatus from_proto(const v1::PodSandboxStatus& status);
SandboxStatus from_proto(const v1::PodSandbox& sandbox);
ContainerStatus from_proto(const v1::ContainerStatus& status);
ContainerStatus from_proto(const v1::Container& container);
Image from_proto(const v1::Image& image);

}  // namespace keelson::cri
