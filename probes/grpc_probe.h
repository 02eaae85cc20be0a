// SPDX-License-Identifier: Apache-2.0
// grpc.health.v1.Health/Check, apart from the rest because gRPC's headers are heavy.
#pragma once

#include "probes/probe.h"

namespace keelson::probes {

/// One Check, plaintext, with the kubelet's texts.
Task<TryResult> try_grpc(Loop* loop, Target target, Duration limit);

}  // namespace keelson::probes
