// SPDX-License-Identifier: Apache-2.0
// Seccomp filters as the kernel takes them: BPF programs made by libseccomp, ready for the shim to install.
#pragma once

#include <string>
#include <string_view>

#include "common/result.h"
#include "cri/runtime/capabilities.h"

namespace keelson::cri {

/// The RuntimeDefault profile for a container with this bounding set: everything outside the table of syscalls is
/// EPERM, clone with namespace flags too unless CAP_SYS_ADMIN, clone3 is then ENOSYS so that libc falls back to clone.
/// The bytes are an array of struct sock_filter. Made once per set and kept; thread-safe.
Result<std::string> default_seccomp_program(Capabilities bounding);

/// The same profile as JSON (OCI runtime-spec `linux.seccomp`), for runtimes that make the filter themselves.
std::string default_seccomp_document(Capabilities bounding);

/// A Localhost profile: the JSON of an OCI runtime-spec `linux.seccomp` object (defaultAction, defaultErrnoRet,
/// architectures, syscalls[].{names,action,errnoRet,args[].{index,value,valueTwo,op}}). Unknown syscall names are
/// skipped, as runc does; an unknown action or operator is Kind::invalid and names its place.
Result<std::string> seccomp_program_of_profile(std::string_view json);

}  // namespace keelson::cri
