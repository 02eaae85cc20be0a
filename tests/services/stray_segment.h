// SPDX-License-Identifier: Apache-2.0
// A TCP segment that fits no connection, as one that was long on its way.
#pragma once

#include <string>

#include "ebpf/testing.h"

namespace keelson::services {

/// From `port` in that network namespace to `to`: an ACK with data whose sequence number is far outside any window.
/// conntrack takes it for invalid. Fails the test if it cannot be sent.
void send_stray_segment(const std::string& netns, const ebpf::testing::Sockaddr& to, uint16_t port);

}  // namespace keelson::services
