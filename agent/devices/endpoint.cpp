// SPDX-License-Identifier: Apache-2.0
#include "agent/devices/endpoint.h"

#include <fmt/format.h>

#include <array>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

namespace keelson::devices {

namespace {

using Calls = rpc::ServiceClient<v1beta1::DevicePlugin>::Async;

constexpr std::chrono::seconds kDial{10};  // the kubelet's, as is kPreStart
constexpr std::chrono::milliseconds kDialAgain{100};
constexpr std::chrono::seconds kPreStart{30};
// The kubelet waits for ever, and with it each pod that comes.
constexpr std::chrono::minutes kAllocate{5};

/// As Go's status.Error prints itself.
Error as_go_prints(const Error& error) {
  constexpr std::array<std::string_view, 17> kCodes = {
      "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
      "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
      "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
      "DataLoss", "Unauthenticated"};
  const auto code = static_cast<size_t>(error.code());
  return {
      error.kind(),
      fmt::format("rpc error: code = {} desc = {}", code < kCodes.size() ? kCodes[code] : "Unknown", error.message()),
      error.code()};
}

template <class T>
Result<T> in_go_words(Result<T> answer) {
  // What the loop has given up is nobody's answer.
  if (answer || answer.error().kind() == Kind::cancelled) {
    return answer;
  }
  return std::unexpected(as_go_prints(answer.error()));
}

std::vector<Device> devices_of(const v1beta1::ListAndWatchResponse& response) {
  std::vector<Device> devices;
  for (const auto& told : response.devices()) {
    Device device{.id = told.id(), .healthy = told.health() == "Healthy", .numa_nodes = {}};
    for (const auto& node : told.topology().nodes()) {
      device.numa_nodes.push_back(node.id());
    }
    devices.push_back(std::move(device));
  }
  return devices;
}

void add(google::protobuf::RepeatedPtrField<std::string>& list, const Ids& ids) {
  for (const auto& id : ids) {
    list.Add(std::string(id));
  }
}

}  // namespace

/// What the stream and the endpoint share: the stream may end after the endpoint. All of it but the newest list belongs
/// to the loop.
struct Endpoint::Watch {
  explicit Watch(Loop& l) : loop(l) {}
  Loop& loop;
  ListListener listener;
  bool closed = false;
  /// Of all that the plugin says while the loop is busy, the last counts: each list is whole, and a plugin that talks
  /// without end fills no queue.
  std::mutex mutex;
  std::optional<std::vector<Device>> newest;  // that the loop has not seen
};

/// The stream's one life. Deletes itself at its end.
class Endpoint::Reader : public grpc::ClientReadReactor<v1beta1::ListAndWatchResponse> {
 public:
  Reader(std::shared_ptr<Watch> watch, Client& client) : watch_(std::move(watch)), calls_(client.calls()) {
    calls_->add(&context_);
    client.async()->ListAndWatch(&context_, &request_, this);
    StartRead(&response_);
    StartCall();
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      return;
    }
    if (keep(devices_of(response_))) {
      watch_->loop.post([watch = watch_] {
        const auto devices = take(*watch);
        if (!watch->closed) {
          watch->listener.listed(devices);
        }
      });
    }
    StartRead(&response_);
  }

  void OnDone(const grpc::Status& status) override {
    const Error why =
        as_go_prints(Error(rpc::kind_of(status.error_code()), status.error_message(), status.error_code()));
    watch_->loop.post([watch = watch_, why] {
      if (!watch->closed) {
        watch->closed = true;
        watch->listener.ended(why);
      }
    });
    auto calls = calls_;
    calls->forget(&context_);
    delete this;
    calls->finished();
  }

 private:
  /// True: the loop is to be told.
  bool keep(std::vector<Device> devices) {
    const std::lock_guard lock(watch_->mutex);
    return !std::exchange(watch_->newest, std::move(devices));
  }
  static std::vector<Device> take(Watch& watch) {
    const std::lock_guard lock(watch.mutex);
    return *std::exchange(watch.newest, std::nullopt);
  }

  std::shared_ptr<Watch> watch_;
  std::shared_ptr<rpc::OpenCalls> calls_;
  grpc::ClientContext context_;
  v1beta1::Empty request_;
  v1beta1::ListAndWatchResponse response_;
};

Endpoint::Endpoint(Loop& loop, std::string resource, std::string socket)
    : loop_(loop),
      resource_(std::move(resource)),
      socket_(std::move(socket)),
      watch_(std::make_shared<Watch>(loop)),
      client_(loop, socket_) {}

Endpoint::~Endpoint() {
  unwatch();
}

Task<> Endpoint::connect() {
  const SteadyTime end = loop_.clock().steady() + kDial;
  while (true) {
    auto told = co_await client_.ask(&Calls::GetDevicePluginOptions, v1beta1::Empty(), kDial);
    if (told) {
      options_ = {.pre_start = told->pre_start_required(),
                  .preferred_allocation = told->get_preferred_allocation_available()};
      co_return Result<>();
    }
    const Error& error = told.error();
    if (error.kind() == Kind::cancelled) {
      co_return std::unexpected(error);
    }
    if (error.kind() != Kind::unavailable) {
      co_return fail(error.kind(), "failed to get device plugin options: {}", as_go_prints(error).message());
    }
    if (loop_.clock().steady() >= end) {
      co_return fail(Kind::unavailable, "failed to dial device plugin: {}: {}", socket_, error.message());
    }
    KEELSON_CO_DO(co_await loop_.sleep(kDialAgain));
  }
}

void Endpoint::watch(ListListener listener) {
  watch_->listener = std::move(listener);
  new Reader(watch_, client_);
}

void Endpoint::unwatch() {
  watch_->closed = true;
}

Task<Ids> Endpoint::prefer(Ids available, Ids must_include, int64_t count) {
  v1beta1::PreferredAllocationRequest request;
  auto* wish = request.add_container_requests();
  add(*wish->mutable_available(), available);
  add(*wish->mutable_must_include(), must_include);
  wish->set_allocation_size(static_cast<int32_t>(count));
  KEELSON_CO_TRY(const auto answer,
                 in_go_words(co_await client_.ask(&Calls::GetPreferredAllocation, std::move(request), kAllocate)));
  Ids ids;
  if (answer.container_responses_size() > 0) {
    const auto& preferred = answer.container_responses(0).device_ids();
    ids.insert(preferred.begin(), preferred.end());
  }
  co_return ids;
}

Task<std::string> Endpoint::allocate(Ids ids) {
  v1beta1::AllocateRequest request;
  add(*request.add_container_requests()->mutable_device_ids(), ids);
  KEELSON_CO_TRY(const auto answer, in_go_words(co_await client_.ask(&Calls::Allocate, std::move(request), kAllocate)));
  if (answer.container_responses_size() == 0) {
    co_return fail(Kind::invalid, "no containers return in allocation response of {}", resource_);
  }
  co_return answer.container_responses(0).SerializeAsString();
}

Task<> Endpoint::pre_start(Ids ids) {
  v1beta1::PreStartContainerRequest request;
  add(*request.mutable_device_ids(), ids);
  KEELSON_CO_DO(in_go_words(co_await client_.ask(&Calls::PreStartContainer, std::move(request), kPreStart)));
  co_return Result<>();
}

}  // namespace keelson::devices
