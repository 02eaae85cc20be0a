// SPDX-License-Identifier: Apache-2.0
// pipe(7).
#pragma once

#include "common/fd.h"

namespace keelson {

/// Both ends of one.
struct Pipe {
  Fd read;
  Fd write;
};
/// pipe2(2) with O_CLOEXEC added.
Result<Pipe> make_pipe(int flags = 0);

}  // namespace keelson
