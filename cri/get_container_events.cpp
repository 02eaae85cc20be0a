// SPDX-License-Identifier: Apache-2.0
// RPC GetContainerEvents: what happens, as it happens. A client that is cut off relists and comes back.
#include <stop_token>
#include <thread>

#include "cri/service.h"

namespace keelson::cri {

grpc::Status RuntimeService::GetContainerEvents(grpc::ServerContext* context, const v1::GetEventsRequest*,
                                                grpc::ServerWriter<v1::ContainerEventResponse>* writer) {
  const auto subscription = parts_.events.subscribe();
  writer->SendInitialMetadata();  // tells the client that from here on nothing is missed: now it may list
  // The synchronous API cannot be woken by a client that leaves in silence, so its going is looked for now and then.
  const std::jthread watch([&](const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any ended;
    std::unique_lock lock(mutex);
    while (!ended.wait_for(lock, stop, std::chrono::seconds(1), [&] { return stop.stop_requested(); })) {
      if (context->IsCancelled()) {
        subscription->cancel();
        return;
      }
    }
  });
  while (const auto event = subscription->next()) {
    if (!writer->Write(*event)) {
      return grpc::Status::OK;
    }
  }
  if (subscription->cut_off()) {
    return {grpc::StatusCode::RESOURCE_EXHAUSTED, "reader is 1000 events behind; list containers and subscribe again"};
  }
  return grpc::Status::OK;
}

}  // namespace keelson::cri
