// SPDX-License-Identifier: Apache-2.0
// event_stream.h: one reader for each life of the stream.
#include "cri/client/event_stream.h"

namespace keelson::cri {

namespace {

constexpr auto kLastRetry = std::chrono::seconds(5);

/// One life of the stream. Deletes itself at its end.
class EventReader : public grpc::ClientReadReactor<v1::ContainerEventResponse> {
 public:
  explicit EventReader(std::shared_ptr<Watch> watch) : watch_(std::move(watch)) {
    context_.set_wait_for_ready(true);
    watch_->calls->add(&context_);
    watch_->stub->async()->GetContainerEvents(&context_, &request_, this);
    StartRead(&response_);
    StartCall();
  }

  void OnReadInitialMetadataDone(bool ok) override {
    if (ok) {
      post_resync();
    }
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      return;
    }
    post_resync();
    ContainerEvent event;
    event.kind = static_cast<ContainerEventKind>(response_.container_event_type());
    event.container_id = response_.container_id();
    event.created_at = response_.created_at();
    const auto& pod = response_.pod_sandbox_status().metadata();
    event.pod = {pod.name(), pod.uid(), pod.namespace_(), pod.attempt()};
    watch_->loop.post([watch = watch_, event] {
      if (watch->closed) {
        return;
      }
      if (event.created_at > 0) {
        const auto now = watch->loop.clock().wall().time_since_epoch();
        watch->stats->event_told(now - std::chrono::nanoseconds(event.created_at));
      }
      watch->handle(event);
    });
    StartRead(&response_);
  }

  void OnDone(const grpc::Status& status) override {
    watch_->loop.post([watch = watch_, none = status.error_code() == grpc::StatusCode::UNIMPLEMENTED] {
      if (watch->closed) {
        return;
      }
      watch->stats->stream_ended();
      if (none) {
        watch->poll();
        return;
      }
      watch->timer.expires_after(watch->retry);
      watch->retry = std::min<std::chrono::milliseconds>(watch->retry * 2, kLastRetry);
      watch->timer.async_wait([watch](boost::system::error_code error) {
        if (!error && !watch->closed) {
          connect_events(watch);
        }
      });
    });
    auto calls = watch_->calls;
    calls->forget(&context_);
    delete this;
    calls->finished();
  }

 private:
  void post_resync() {
    if (told_.exchange(true)) {
      return;
    }
    watch_->loop.post([watch = watch_] {
      watch->retry = kFirstRetry;
      if (!watch->closed) {
        watch->stats->stream_opened();
        watch->resync();
      }
    });
  }

  std::shared_ptr<Watch> watch_;
  grpc::ClientContext context_;
  v1::GetEventsRequest request_;
  v1::ContainerEventResponse response_;
  std::atomic<bool> told_ = false;
};

}  // namespace

void connect_events(const std::shared_ptr<Watch>& watch) {
  new EventReader(watch);
}

}  // namespace keelson::cri
