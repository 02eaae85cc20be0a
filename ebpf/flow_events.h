// SPDX-License-Identifier: Apache-2.0
// What becomes of packets, as the programs tell it: drops, rejects and, where wanted, flows that begin.
//
// The buffer in the kernel has one reader: the daemon. NodeSettings says what is told; what is over the rate, or comes
// while nobody reads, is counted as KL_EVENTS_LOST.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "common/fd.h"
#include "common/result.h"
#include "ebpf/bpf/abi.h"

struct ring_buffer;

namespace keelson::ebpf {

/// A counter of the programs (KL_COUNTER_LIST), as metrics and people name it.
struct CounterName {
  kl_counter_kind kind = KL_COUNTS;
  std::string_view label;  ///< "no_local_endpoint"
  std::string_view text;   ///< "traffic policy Local, and no endpoint on this node"
};
/// Of a newer program's counter: "unknown".
CounterName name_of(uint32_t counter);

/// One thread at a time.
class FlowEvents {
 public:
  using Listener = std::function<void(const kl_event&)>;

  /// `map`: Programs::map("events"). Keeps a descriptor of its own: the map stays when others grow.
  static Result<FlowEvents> open(int map, Listener listener);

  /// Readable when there are events.
  int fd() const;
  /// Hands over what is there, without waiting. How many events.
  Result<size_t> drain();

 private:
  struct Free {
    void operator()(ring_buffer* buffer) const;
  };
  FlowEvents(Fd map, std::unique_ptr<Listener> listener, std::unique_ptr<ring_buffer, Free> buffer)
      : map_(std::move(map)), listener_(std::move(listener)), buffer_(std::move(buffer)) {}
  Fd map_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<ring_buffer, Free> buffer_;
};

}  // namespace keelson::ebpf
