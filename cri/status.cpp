// SPDX-License-Identifier: Apache-2.0
// status.h.
#include "cri/status.h"

namespace keelson::cri {

namespace {

/// gRPC sends it in a header, where 8 KiB fit, each byte that is not printable as three. What is longer would come as
/// another error, and end the other calls of the connection.
constexpr size_t kLongest = 2048;

std::string shorten(std::string message) {
  if (message.size() > kLongest) {
    message = message.substr(0, kLongest / 2) + " ... " + message.substr(message.size() - kLongest / 2);
  }
  return message;
}

}  // namespace

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
  return {code, shorten(error.message())};
}

}  // namespace keelson::cri
