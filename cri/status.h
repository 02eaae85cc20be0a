// SPDX-License-Identifier: Apache-2.0
// Our errors as gRPC's: the one place where a Kind becomes a status code.
#pragma once

#include <grpcpp/support/status.h>

#include "common/result.h"

namespace keelson::cri {

/// The code containerd would answer: invalid -> InvalidArgument, conflict -> FailedPrecondition, timeout ->
/// DeadlineExceeded, internal -> Unknown (what a plain Go error becomes), and so on. The text is error.message().
grpc::Status to_status(const Error& error);

/// OK, or the error's status.
template <class T>
grpc::Status to_status(const Result<T>& result) {
  return result ? grpc::Status::OK : to_status(result.error());
}

}  // namespace keelson::cri
