/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Services in the kernel: every program and map in one object, so that they are loaded, pinned and replaced as one. */

#include "ebpf/bpf/forget.h"
#include "ebpf/bpf/helpers.h"
#include "ebpf/bpf/keep.h"
#include "ebpf/bpf/socket.h"
#include "ebpf/bpf/tc.h"
#include "ebpf/bpf/transition.h"
#include "ebpf/bpf/xdp.h"

char _license[] SEC("license") = "GPL";
