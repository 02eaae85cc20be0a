// SPDX-License-Identifier: Apache-2.0
// A CSI driver's Node service, and a plugin's registration, as tasks.
#pragma once

#include <memory>
#include <string>

#include "agent/storage/proto/csi.grpc.pb.h"
#include "agent/storage/proto/registration.grpc.pb.h"
#include "common/rpc/calls.h"

namespace keelson::storage {

/// A channel to a socket's path.
std::shared_ptr<grpc::Channel> connect(const std::string& socket);

/// Calls of one gRPC service on the loop; the errors are gRPC's, as rpc::kind_of() has them. What is still open when it
/// goes is cancelled.
template <class Service>
class ServiceClient {
 public:
  using Async = typename Service::StubInterface::async_interface;

  ServiceClient(Loop& loop, const std::string& socket)
      : loop_(loop), stub_(Service::NewStub(connect(socket))), calls_(std::make_shared<rpc::OpenCalls>()) {}
  ~ServiceClient() { calls_->cancel_and_wait(); }
  ServiceClient(const ServiceClient&) = delete;
  ServiceClient& operator=(const ServiceClient&) = delete;

  template <class Request, class Response>
  Task<Response> ask(void (Async::*method)(grpc::ClientContext*, const Request*, Response*,
                                           std::function<void(grpc::Status)>),
                     Request request, Duration deadline) {
    return rpc::call(&loop_.io(), calls_, static_cast<Async*>(stub_->async()), method, std::move(request), deadline);
  }

 private:
  Loop& loop_;
  std::unique_ptr<typename Service::Stub> stub_;
  std::shared_ptr<rpc::OpenCalls> calls_;
};

using CsiClient = ServiceClient<csi::v1::Node>;
using CsiCalls = CsiClient::Async;
using RegistrationClient = ServiceClient<pluginregistration::Registration>;
using RegistrationCalls = RegistrationClient::Async;

/// The kubelet's for every call to a driver.
inline constexpr std::chrono::minutes kCsiDeadline{2};

}  // namespace keelson::storage
