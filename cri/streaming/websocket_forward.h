// SPDX-License-Identifier: Apache-2.0
// Ports over WebSocket messages: v4.channel.k8s.io and v4.base64.channel.k8s.io, as the kubelet has them beside SPDY.
//
// The ports are named beforehand, each has one connection and two channels: port number n (from 0) has data on 2n and
// errors on 2n + 1. A message's first byte is its channel; base64's are text, with the channel as a digit ('0' + n) and
// the rest in base64. Each channel begins with its port as two bytes, lowest first. There is no half close: a client
// ends by closing the WebSocket, we close it when every port's server has ended.
// Source: kubelet pkg/cri/streaming/portforward/websocket.go, apimachinery httpstream/wsstream.
#pragma once

#include <cstdint>
#include <vector>

#include "cri/streaming/byte_stream.h"
#include "cri/streaming/session.h"

namespace keelson::cri {

/// Base64's channel numbers end at '~'.
inline constexpr size_t kMostWebSocketPorts = 39;

/// Serves one accepted WebSocket to its end. `idle` outlives it. At most kMostWebSocketPorts ports.
Task<> serve_websocket_forward(SessionRoom room, WebSocket socket, ForwardOffer offer, bool base64, IdleWatch& idle);

}  // namespace keelson::cri
