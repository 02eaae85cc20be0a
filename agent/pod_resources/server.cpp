// SPDX-License-Identifier: Apache-2.0
#include "agent/pod_resources/server.h"

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <filesystem>
#include <mutex>
#include <unordered_set>

#include "agent/pod_resources/proto/podresources.grpc.pb.h"
#include "common/fd.h"
#include "common/token_bucket.h"

namespace keelson::pod_resources {

namespace {

// The kubelet's: more than 100 a second is no monitor's need.
constexpr RateLimit kCalls = {.per_second = 100, .burst = 10};
constexpr std::chrono::seconds kCallsEnd{2};

using Devices = google::protobuf::RepeatedPtrField<v1::ContainerDevices>;

/// As the kubelet tells them: a device once for each NUMA node that it is near.
void tell(const std::vector<Device>& devices, Devices& told) {
  const auto add = [&](const Device& device) {
    auto& one = *told.Add();
    one.set_resource_name(device.resource);
    one.add_device_ids(device.id);
    return &one;
  };
  for (const auto& device : devices) {
    if (device.numa_nodes.empty()) {
      add(device);
    }
    for (const auto node : device.numa_nodes) {
      add(device)->mutable_topology()->add_nodes()->set_id(node);
    }
  }
}

void tell(const Source& source, const kube::Pod& pod, const kube::Container& container, v1::PodResources& told) {
  const auto& uid = pod.metadata.uid;
  auto& one = *told.add_containers();
  one.set_name(container.name);
  tell(source.devices_of(uid, container.name), *one.mutable_devices());
  for (const auto cpu : source.cpus_of(uid, container.name)) {
    one.add_cpu_ids(cpu);
  }
}

/// Init containers that end are left out: what they had, the containers have.
void tell(const Source& source, const kube::Pod& pod, v1::PodResources& told) {
  told.set_name(pod.metadata.name);
  told.set_namespace_(pod.metadata.ns);
  for (const auto& container : pod.spec.init_containers) {
    if (container.is_sidecar()) {
      tell(source, pod, container, told);
    }
  }
  for (const auto& container : pod.spec.containers) {
    tell(source, pod, container, told);
  }
}

}  // namespace

struct Server::State {
  State(Loop& l, const Source& s) : loop(l), source(s) {}

  /// False: too many have asked lately.
  bool admit() {
    const std::lock_guard lock(mutex);
    return limit.take(loop.clock().steady());
  }

  /// False: the server ends, and nobody will come for it.
  bool wait_for_loop(grpc::ServerUnaryReactor* reactor) {
    const std::lock_guard lock(mutex);
    if (!ending) {
      waiting.insert(reactor);
    }
    return !ending;
  }
  /// False: it has been sent away, and is not to be touched.
  bool begin(grpc::ServerUnaryReactor* reactor) {
    const std::lock_guard lock(mutex);
    return waiting.erase(reactor) > 0;
  }
  /// gRPC's end waits for each that has no answer, however long that takes.
  void send_all_away() {
    std::unordered_set<grpc::ServerUnaryReactor*> sent;
    {
      const std::lock_guard lock(mutex);
      ending = true;
      sent.swap(waiting);
    }
    for (auto* reactor : sent) {
      reactor->Finish(away());
    }
  }
  static grpc::Status away() { return {grpc::StatusCode::UNAVAILABLE, "the node's agent ends"}; }

  Loop& loop;
  const Source& source;
  std::mutex mutex;
  TokenBucket limit{kCalls};
  std::unordered_set<grpc::ServerUnaryReactor*> waiting;
  bool ending = false;
  // The loop's.
  CounterVec requests;
  CounterVec lists;
  CounterVec gets;
  CounterVec allocatables;
  CounterVec get_errors;
  std::unique_ptr<grpc::Server> listener;
};

class Server::Service final : public v1::PodResourcesLister::CallbackService {
 public:
  explicit Service(std::shared_ptr<State> state) : state_(std::move(state)) {}

  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context, const v1::ListPodResourcesRequest*,
                                 v1::ListPodResourcesResponse* answer) override {
    return answer_on_loop(context, [state = state_.get(), answer] {
      state->lists.add(kVersion);
      for (const auto& pod : state->source.active_pods()) {
        tell(state->source, pod, *answer->add_pod_resources());
      }
      return grpc::Status::OK;
    });
  }

  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context, const v1::GetPodResourcesRequest* request,
                                v1::GetPodResourcesResponse* answer) override {
    return answer_on_loop(context, [state = state_.get(), request, answer]() -> grpc::Status {
      state->gets.add(kVersion);
      const auto pod = state->source.find_pod(request->pod_namespace(), request->pod_name());
      if (!pod) {
        state->get_errors.add(kVersion);
        return {grpc::StatusCode::UNKNOWN,
                "pod " + request->pod_name() + " in namespace " + request->pod_namespace() + " not found"};
      }
      tell(state->source, *pod, *answer->mutable_pod_resources());
      return grpc::Status::OK;
    });
  }

  grpc::ServerUnaryReactor* GetAllocatableResources(grpc::CallbackServerContext* context,
                                                    const v1::AllocatableResourcesRequest*,
                                                    v1::AllocatableResourcesResponse* answer) override {
    return answer_on_loop(context, [state = state_.get(), answer] {
      state->allocatables.add(kVersion);
      tell(state->source.allocatable_devices(), *answer->mutable_devices());
      for (const auto cpu : state->source.allocatable_cpus()) {
        answer->add_cpu_ids(cpu);
      }
      return grpc::Status::OK;
    });
  }

 private:
  static inline const StatLabels kVersion = {{"server_api_version", "v1"}};

  /// `answer` uses what gRPC keeps until Finish().
  template <class F>
  grpc::ServerUnaryReactor* answer_on_loop(grpc::CallbackServerContext* context, F answer) {
    auto* reactor = context->DefaultReactor();
    if (!state_->admit()) {
      reactor->Finish({grpc::StatusCode::RESOURCE_EXHAUSTED, "rejected by rate limit"});
      return reactor;
    }
    if (!state_->wait_for_loop(reactor)) {
      reactor->Finish(State::away());
      return reactor;
    }
    state_->loop.post([state = state_, reactor, answer = std::move(answer)] {
      if (state->begin(reactor)) {
        state->requests.add(kVersion);
        reactor->Finish(answer());
      }
    });
    return reactor;
  }

  std::shared_ptr<State> state_;
};

Server::Server() = default;

Result<std::unique_ptr<Server>> Server::start(Loop& loop, const Source& source, const std::string& socket) {
  KEELSON_DO(make_directories(std::filesystem::path(socket).parent_path(), 0750));
  ::unlink(socket.c_str());
  std::unique_ptr<Server> server(new Server);
  server->state_ = std::make_shared<State>(loop, source);
  server->service_ = std::make_unique<Service>(server->state_);
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + socket, grpc::InsecureServerCredentials());
  builder.RegisterService(server->service_.get());
  server->state_->listener = builder.BuildAndStart();
  if (!server->state_->listener) {
    return fail(Kind::unavailable, "cannot listen on {}", socket);
  }
  return server;
}

Server::~Server() {
  if (state_->listener) {
    state_->send_all_away();
    state_->listener->Shutdown(std::chrono::system_clock::now() + kCallsEnd);
    state_->listener->Wait();
    state_->listener.reset();
  }
}

void Server::collect(Stats& stats) const {
  const State& s = *state_;
  s.requests.collect(stats, "kubelet_pod_resources_endpoint_requests_total",
                     "[ALPHA] Cumulative number of requests to the PodResource endpoint. Broken down by server api "
                     "version.");
  s.lists.collect(stats, "kubelet_pod_resources_endpoint_requests_list",
                  "[ALPHA] Number of requests to the PodResource List endpoint. Broken down by server api version.");
  s.gets.collect(stats, "kubelet_pod_resources_endpoint_requests_get",
                 "[ALPHA] Number of requests to the PodResource Get endpoint. Broken down by server api version.");
  s.allocatables.collect(stats, "kubelet_pod_resources_endpoint_requests_get_allocatable",
                         "[ALPHA] Number of requests to the PodResource GetAllocatableResources endpoint. Broken down "
                         "by server api version.");
  s.get_errors.collect(stats, "kubelet_pod_resources_endpoint_errors_get",
                       "[ALPHA] Number of requests to the PodResource Get endpoint which returned error. Broken down "
                       "by server api version.");
}

}  // namespace keelson::pod_resources
