// SPDX-License-Identifier: Apache-2.0
// Bytes with open descriptors over unix sockets (unix(7), SCM_RIGHTS).
#pragma once

#include <sys/types.h>

#include <span>
#include <string_view>
#include <vector>

#include "common/fd.h"

namespace keelson::cri::shim {

/// More in one message are not sent.
inline constexpr size_t kMaxFds = 8;

/// sendmsg(2) of `bytes` with copies of `fds`; its result, and errno.
ssize_t send_with(int socket, std::string_view bytes, std::span<const int> fds);

/// recvmsg(2) into `bytes`; its result, and errno. What descriptors came are added to `fds`; they close by exec.
ssize_t receive_with(int socket, std::span<char> bytes, std::vector<Fd>& fds);

}  // namespace keelson::cri::shim
