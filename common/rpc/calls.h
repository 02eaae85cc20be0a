// SPDX-License-Identifier: Apache-2.0
// gRPC's callback API bridged to the loop: answers are posted there, cancellation goes back.
#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <mutex>
#include <set>

#include "common/loop.h"

namespace keelson::rpc {

/// What a peer's status code means to us. Never Kind::cancelled: a peer that has given up by itself is unavailable, and
/// whoever asked may ask again.
Kind kind_of(grpc::StatusCode code);

/// The calls that gRPC still works on. Thread-safe.
///
/// The client cancels them and waits for the last before it goes, for their callbacks use its loop. And the channel's
/// last owner must not be one of gRPC's own threads: they would wait for themselves. So a callback lets go of its
/// ClientContext, which owns a share of the channel, before it says finished().
class OpenCalls {
 public:
  void add(grpc::ClientContext* context);
  /// The context is about to be destroyed or handed on: it is not cancelled any more.
  void forget(grpc::ClientContext* context);
  /// The call's callback has nothing left that belongs to the client or its loop. Once for each add().
  void finished();
  void cancel_and_wait();
  /// cancel_and_wait() has been called.
  bool given_up() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable none_;
  std::set<grpc::ClientContext*> contexts_;
  size_t open_ = 0;
  bool given_up_ = false;
};

template <class Request, class Response>
struct Exchange {  // owned by the loop alone once the call has ended
  grpc::ClientContext context;
  Request request;
  Response response;
  bool given_up = false;  // by who waits for it; the loop's
};

/// Starts one call and resumes with its response on the loop. Kind::cancelled, without a code, if it was given up here:
/// by who waits for it, or with the client. Other errors have the status code as their code.
template <class Async, class Request, class Response>
Task<Response> call(asio::io_context* io, std::shared_ptr<OpenCalls> calls, Async* async,
                    void (Async::*method)(grpc::ClientContext*, const Request*, Response*,
                                          std::function<void(grpc::Status)>),
                    Request request, Duration deadline) {
  auto exchange = std::make_shared<Exchange<Request, Response>>();
  exchange->request = std::move(request);
  exchange->context.set_deadline(std::chrono::system_clock::now() +
                                 std::chrono::duration_cast<std::chrono::system_clock::duration>(deadline));
  auto initiate = [io, calls, async, method, exchange](auto handler) {
    using Handler = decltype(handler);
    auto slot = asio::get_associated_cancellation_slot(handler);
    if (slot.is_connected()) {
      slot.assign([exchange](asio::cancellation_type) {
        exchange->given_up = true;
        exchange->context.TryCancel();
      });
    }
    auto kept = std::make_shared<Handler>(std::move(handler));
    auto work = std::make_shared<decltype(asio::make_work_guard(*io))>(asio::make_work_guard(*io));
    auto resume = [kept, exchange, work, slot, calls](const grpc::Status& status) mutable {
      if (slot.is_connected()) {
        slot.clear();
      }
      if (status.ok()) {
        std::move (*kept)(Result<Response>(std::move(exchange->response)));
      } else if (status.error_code() == grpc::StatusCode::CANCELLED && (exchange->given_up || calls->given_up())) {
        std::move (*kept)(Result<Response>(std::unexpected(Error(Kind::cancelled, "cancelled"))));
      } else {
        std::move (*kept)(Result<Response>(
            std::unexpected(Error(kind_of(status.error_code()), status.error_message(), status.error_code()))));
      }
    };
    calls->add(&exchange->context);
    auto* shared = exchange.get();
    (async->*method)(&shared->context, &shared->request, &shared->response,
                     [io, calls, shared, resume = std::move(resume)](grpc::Status status) mutable {
                       calls->forget(&shared->context);
                       // Nothing of the exchange or the loop may be left in this function: it outlives finished().
                       asio::post(*io, [resume = std::move(resume), status]() mutable { resume(status); });
                       calls->finished();
                     });
  };
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Result<Response>)>(std::move(initiate),
                                                                                                 asio::use_awaitable);
}

}  // namespace keelson::rpc
