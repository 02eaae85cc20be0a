// SPDX-License-Identifier: Apache-2.0
// A client of one gRPC service behind a unix socket, its calls as tasks.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "common/rpc/calls.h"

namespace keelson::rpc {

/// A channel to a socket's path, shared with no other; it is connected when it is first used, and again when it breaks.
std::shared_ptr<grpc::Channel> connect(const std::string& socket);

/// Calls of one gRPC service on the loop; the errors are gRPC's, as kind_of() has them, with the status code as code().
/// What is still open when it goes is cancelled.
template <class Service>
class ServiceClient {
 public:
  using Async = typename Service::StubInterface::async_interface;

  ServiceClient(Loop& loop, const std::string& socket)
      : loop_(loop), stub_(Service::NewStub(connect(socket))), calls_(std::make_shared<OpenCalls>()) {}
  ~ServiceClient() { calls_->cancel_and_wait(); }
  ServiceClient(const ServiceClient&) = delete;
  ServiceClient& operator=(const ServiceClient&) = delete;

  template <class Request, class Response>
  Task<Response> ask(void (Async::*method)(grpc::ClientContext*, const Request*, Response*,
                                           std::function<void(grpc::Status)>),
                     Request request, Duration deadline) {
    return call(&loop_.io(), calls_, async(), method, std::move(request), deadline);
  }

  /// For what is no plain question: a stream is opened with async(), and its context told to calls().
  Async* async() { return static_cast<Async*>(stub_->async()); }
  const std::shared_ptr<OpenCalls>& calls() { return calls_; }

 private:
  Loop& loop_;
  std::unique_ptr<typename Service::Stub> stub_;
  std::shared_ptr<OpenCalls> calls_;
};

}  // namespace keelson::rpc
