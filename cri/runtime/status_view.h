// SPDX-License-Identifier: Apache-2.0
// Records as CRI shows them, and CRI's filters over them. Pure functions.
#pragma once

#include "cri/proto/api.pb.h"
#include "cri/runtime/records.h"

namespace keelson::cri {

::runtime::v1::PodSandbox list_item(const SandboxRecord& record);
::runtime::v1::PodSandboxStatus status_of(const SandboxRecord& record);
::runtime::v1::Container list_item(const ContainerRecord& record);
::runtime::v1::ContainerStatus status_of(const ContainerRecord& record);
::runtime::v1::ContainerAttributes attributes_of(const ContainerRecord& record);
::runtime::v1::PodSandboxAttributes attributes_of(const SandboxRecord& record);

/// An absent field of the filter matches all; an id matches by prefix; labels must all be there and equal.
bool matches(const ::runtime::v1::PodSandboxFilter& filter, const SandboxRecord& record);
bool matches(const ::runtime::v1::ContainerFilter& filter, const ContainerRecord& record);
bool matches(const ::runtime::v1::PodSandboxStatsFilter& filter, const SandboxRecord& record);
bool matches(const ::runtime::v1::ContainerStatsFilter& filter, const ContainerRecord& record);

}  // namespace keelson::cri
