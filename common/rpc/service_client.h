// SPDX-License-Identifier: Apache-2.0
// One gRPC service behind a socket of this machine, as tasks on the loop: what plugins of a node are asked by.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "common/rpc/calls.h"
#include "common/rpc/channel.h"

namespace keelson::rpc {

/// Calls of one service, with the errors of call() in calls.h. Belongs to the loop. What is still open when it goes is
/// cancelled.
template <class Service>
class ServiceClient {
 public:
  using Async = typename Service::StubInterface::async_interface;

  ServiceClient(Loop& loop, const std::string& socket)
      : loop_(loop), stub_(Service::NewStub(channel_to(socket))), calls_(std::make_shared<OpenCalls>()) {}
  ~ServiceClient() { calls_->cancel_and_wait(); }
  ServiceClient(const ServiceClient&) = delete;
  ServiceClient& operator=(const ServiceClient&) = delete;

  /// One call, `method` being a member of Async: client.ask(&Async::GetInfo, InfoRequest(), deadline). Kind::timeout
  /// after `deadline`; Kind::unavailable if nobody answers at the socket.
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
