// SPDX-License-Identifier: Apache-2.0
// gRPC's generic stub: the two messages are so small that they are written by hand (grpc.health.v1: request.service =
// 1, response.status = 1, SERVING = 1).
#include "probes/grpc_probe.h"

#include <fmt/format.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

namespace keelson::probes {

namespace {

constexpr int kServing = 1;

std::string encode_request(const std::string& service) {
  std::string out;
  if (!service.empty()) {
    out.push_back(0x0a);
    for (auto size = service.size();; size >>= 7) {
      bool more = size >= 0x80;
      out.push_back(static_cast<char>((size & 0x7f) | (more ? 0x80 : 0)));
      if (!more) {
        break;
      }
    }
    out += service;
  }
  return out;
}

int decode_status(const std::string& bytes) {
  return bytes.size() >= 2 && bytes[0] == 0x08 ? bytes[1] : 0;
}

const char* status_name(int status) {
  static constexpr const char* kNames[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
  return status >= 0 && status < 4 ? kNames[status] : "UNKNOWN";
}

/// All that one call needs until its callback has run.
struct Call {
  explicit Call(const std::shared_ptr<grpc::Channel>& channel) : stub(channel) {}
  grpc::GenericStub stub;
  grpc::ClientContext context;
  grpc::ByteBuffer request;
  grpc::ByteBuffer response;
};

TryResult read_result(const grpc::Status& status, grpc::ByteBuffer& response) {
  if (!status.ok()) {
    if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
      return {Outcome::failure,
              "error: this server does not implement the grpc health protocol (grpc.health.v1.Health)"};
    }
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
      return {Outcome::failure, fmt::format("failed to connect service: {}", status.error_message())};
    }
    return {Outcome::failure, fmt::format("health rpc probe failed: {}", status.error_message())};
  }
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (response.Dump(&slices).ok()) {
    for (const auto& slice : slices) {
      bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    }
  }
  auto serving = decode_status(bytes);
  return serving == kServing ? TryResult{Outcome::success, ""}
                             : TryResult{Outcome::failure, fmt::format("service unhealthy (responded with \"{}\")",
                                                                       status_name(serving))};
}

}  // namespace

Task<TryResult> try_grpc(Loop* loop, Target target, Duration limit) {
  auto host = target.host.find(':') == std::string::npos ? target.host : "[" + target.host + "]";
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetUserAgentPrefix("kube-probe/1.34");
  auto channel =
      grpc::CreateCustomChannel(fmt::format("{}:{}", host, target.port), grpc::InsecureChannelCredentials(), arguments);
  auto call = std::make_shared<Call>(channel);
  call->context.set_deadline(std::chrono::system_clock::now() +
                             std::chrono::duration_cast<std::chrono::system_clock::duration>(limit));
  auto text = encode_request(target.service);
  grpc::Slice slice(text);
  call->request = grpc::ByteBuffer(&slice, 1);
  auto* io = &loop->io();
  auto initiate = [io, call](auto handler) {
    auto slot = asio::get_associated_cancellation_slot(handler);
    if (slot.is_connected()) {
      slot.assign([call](asio::cancellation_type) { call->context.TryCancel(); });
    }
    auto kept = std::make_shared<decltype(handler)>(std::move(handler));
    auto work = std::make_shared<decltype(asio::make_work_guard(*io))>(asio::make_work_guard(*io));
    auto resume = [call, kept, slot, work](const grpc::Status& status) mutable {
      if (slot.is_connected()) {
        slot.clear();
      }
      std::move (*kept)(Result<TryResult>(read_result(status, call->response)));
    };
    // The channel's last share must not be left to gRPC's own thread, which would wait for itself: all goes to the
    // loop.
    auto* shared = call.get();
    shared->stub.UnaryCall(&shared->context, "/grpc.health.v1.Health/Check", grpc::StubOptions(), &shared->request,
                           &shared->response, [io, resume = std::move(resume)](grpc::Status status) mutable {
                             asio::post(*io, [resume = std::move(resume), status]() mutable { resume(status); });
                           });
  };
  auto result = co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Result<TryResult>)>(
      std::move(initiate), asio::use_awaitable);
  if (result && result->text == "health rpc probe failed: Deadline Exceeded") {
    co_return fail(Kind::timeout, "timeout");
  }
  co_return result;
}

}  // namespace keelson::probes
