// SPDX-License-Identifier: Apache-2.0
// A CSI driver's Node service, as tasks.
#pragma once

#include <chrono>

#include "agent/storage/proto/csi.grpc.pb.h"
#include "common/rpc/service_client.h"

namespace keelson::storage {

using CsiClient = rpc::ServiceClient<csi::v1::Node>;
using CsiCalls = CsiClient::Async;

/// The kubelet's for every call to a driver.
inline constexpr std::chrono::minutes kCsiDeadline{2};

}  // namespace keelson::storage
