// SPDX-License-Identifier: Apache-2.0
#include "ebpf/flow_events.h"

#include <bpf/libbpf.h>

namespace keelson::ebpf {
namespace {

#define KL_COUNTER_ROW(name, kind, label, text) {kind, label, text},
constexpr CounterName kCounters[] = {KL_COUNTER_LIST(KL_COUNTER_ROW)};
#undef KL_COUNTER_ROW
static_assert(std::size(kCounters) == KL_COUNTERS);

int hand_over(void* listener, void* data, size_t size) {
  if (size >= sizeof(kl_event)) {
    (*static_cast<FlowEvents::Listener*>(listener))(*static_cast<const kl_event*>(data));
  }
  return 0;
}

}  // namespace

CounterName name_of(uint32_t counter) {
  return counter < KL_COUNTERS ? kCounters[counter] : CounterName{KL_COUNTS, "unknown", "unknown"};
}

void FlowEvents::Free::operator()(ring_buffer* buffer) const {
  ring_buffer__free(buffer);
}

Result<FlowEvents> FlowEvents::open(int map, Listener listener) {
  KEELSON_TRY(auto own, duplicate(map));
  auto kept = std::make_unique<Listener>(std::move(listener));
  std::unique_ptr<ring_buffer, Free> buffer(ring_buffer__new(own.get(), hand_over, kept.get(), nullptr));
  if (!buffer) {
    return fail_errno(errno, "open the buffer of events");
  }
  return FlowEvents(std::move(own), std::move(kept), std::move(buffer));
}

int FlowEvents::fd() const {
  return ring_buffer__epoll_fd(buffer_.get());
}

Result<size_t> FlowEvents::drain() {
  int events = ring_buffer__consume(buffer_.get());
  if (events < 0) {
    return fail_errno(-events, "read events");
  }
  return static_cast<size_t>(events);
}

}  // namespace keelson::ebpf
