// SPDX-License-Identifier: Apache-2.0
// procfs as a detached mount. It shows the PID namespace of the process that makes it, so that one has to be inside.
#pragma once

#include "common/fd.h"

namespace keelson::cri::shim {

/// Flags are MS_* (mount(2)).
Result<Fd> make_proc(uint64_t flags);

/// The same from inside a user namespace. Its root may configure a procfs, but the kernel lets nobody there have one
/// who does not see a whole one already; who bore it, outside, mounts it for us: serve_proc() at the other end of
/// `line`, a SOCK_SEQPACKET pair.
Result<Fd> ask_for_proc(int line);

/// Serves one asker, or none if it ends before.
Result<> serve_proc(int line, uint64_t flags);

}  // namespace keelson::cri::shim
