// SPDX-License-Identifier: Apache-2.0
// Programs on links by classic tc: filters of the qdisc clsact. For kernels without tcx (before 6.6), which has links
// that can be pinned; here the filter is the kernel's only sign that a program runs.
//
// A filter has our own handle at the first priority, so that it is known again and others' filters stay. Programs end
// in TC_ACT_UNSPEC, which is tcx's NEXT, and the next filter has its turn.
#pragma once

#include <cstdint>

#include "common/result.h"

namespace keelson::ebpf {

enum class TcSide { ingress, egress };

/// Puts the program on the link, or in one step in the place of the one of ours that is there. Makes the qdisc if there
/// is none.
Result<> set_filter(int ifindex, TcSide side, int program);

/// The id of the program of ours that runs there; 0: none, or no such link.
uint32_t filter_program(int ifindex, TcSide side);

/// Takes ours away, and the qdisc if it has no filter then. Absent is success, so is a link that is gone.
Result<> remove_filter(int ifindex, TcSide side);

}  // namespace keelson::ebpf
