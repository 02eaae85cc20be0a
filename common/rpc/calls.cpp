// SPDX-License-Identifier: Apache-2.0
// calls.h: status codes and the register of open calls.
#include "common/rpc/calls.h"

namespace keelson::rpc {

Kind kind_of(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::OUT_OF_RANGE:
      return Kind::invalid;
    case grpc::StatusCode::NOT_FOUND:
      return Kind::not_found;
    case grpc::StatusCode::ALREADY_EXISTS:
      return Kind::exists;
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
      return Kind::permission;
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::CANCELLED:
      return Kind::unavailable;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return Kind::timeout;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return Kind::exhausted;
    case grpc::StatusCode::FAILED_PRECONDITION:
    case grpc::StatusCode::ABORTED:
      return Kind::conflict;
    case grpc::StatusCode::UNIMPLEMENTED:
      return Kind::unsupported;
    default:
      return Kind::internal;
  }
}

void OpenCalls::add(grpc::ClientContext* context) {
  std::lock_guard lock(mutex_);
  contexts_.insert(context);
  ++open_;
}

void OpenCalls::forget(grpc::ClientContext* context) {
  std::lock_guard lock(mutex_);
  contexts_.erase(context);
}

void OpenCalls::finished() {
  std::lock_guard lock(mutex_);
  --open_;
  none_.notify_all();  // under the lock: whoever waits may be gone right after
}

void OpenCalls::cancel_and_wait() {
  std::unique_lock lock(mutex_);
  given_up_ = true;
  for (auto* context : contexts_) {
    context->TryCancel();
  }
  none_.wait(lock, [this] { return open_ == 0; });
}

bool OpenCalls::given_up() const {
  const std::lock_guard lock(mutex_);
  return given_up_;
}

}  // namespace keelson::rpc
