// SPDX-License-Identifier: Apache-2.0
// What a daemon keeps in memory.
#pragma once

#include "common/result.h"

namespace keelson {

/// Gives back what only the start of the process needed: free heap (malloc_trim(3)), and the mapped pages of programs
/// and libraries that hold no data of their own (MADV_DONTNEED, madvise(2)). Code that runs again is mapped again from
/// the page cache, at a minor fault each 64 KiB. To be called once, when everything is up.
///
/// It matters for daemons that link much and run little of it: constructors, registrations and option parsing touch
/// most of a library's pages once. Harmless at any time and from any thread.
Result<> release_startup_memory();

}  // namespace keelson
