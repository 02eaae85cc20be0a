# SPDX-License-Identifier: Apache-2.0
# What streaming/ adds to the target keelson::cri; paths are relative to cri/.
set(CRI_STREAMING_SRCS
  streaming/server.cpp streaming/session.cpp streaming/upgrade.cpp streaming/tokens.cpp streaming/byte_stream.cpp
  streaming/remote_command.cpp streaming/channels.cpp streaming/websocket_channels.cpp streaming/spdy_channels.cpp
  streaming/spdy_headers.cpp streaming/spdy_frames.cpp streaming/spdy_connection.cpp
  streaming/port_forward.cpp streaming/forward_pairs.cpp streaming/forward_socket.cpp streaming/websocket_forward.cpp)
set(CRI_STREAMING_UNIT_TESTS streaming/streaming_test.cpp streaming/spdy_frames_test.cpp
  streaming/spdy_command_test.cpp streaming/port_forward_test.cpp streaming/tls_test.cpp
  streaming/websocket_forward_test.cpp streaming/remote_command_test.cpp)
