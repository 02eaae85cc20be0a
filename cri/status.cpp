// SPDX-License-Identifier: Apache-2.0
// status.h.
#include "cri/status.h"

namespace keelson::cri {

grpc::Status to_status(const Error& error) {
  auto code = grpc::StatusCode::UNKNOWN;
  switch (error.kind()) {
    case Kind::invalid:
      code = grpc::StatusCode::INVALID_ARGUMENT;
      break;
    case Kind::not_found:
      code = grpc::StatusCode::NOT_FOUND;
      break;
    case Kind::exists:
      code = grpc::StatusCode::ALREADY_EXISTS;
      break;
    case Kind::permission:
      code = grpc::StatusCode::PERMISSION_DENIED;
      break;
    case Kind::unavailable:
      code = grpc::StatusCode::UNAVAILABLE;
      break;
    case Kind::timeout:
      code = grpc::StatusCode::DEADLINE_EXCEEDED;
      break;
    case Kind::exhausted:
      code = grpc::StatusCode::RESOURCE_EXHAUSTED;
      break;
    case Kind::conflict:
      code = grpc::StatusCode::FAILED_PRECONDITION;
      break;
    case Kind::unsupported:
      code = grpc::StatusCode::UNIMPLEMENTED;
      break;
    case Kind::cancelled:
      code = grpc::StatusCode::CANCELLED;
      break;
    case Kind::internal:
      break;
  }
  return {code, error.message()};
}

}  // namespace keelson::cri
