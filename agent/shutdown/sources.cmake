# SPDX-License-Identifier: Apache-2.0
# What shutdown/ adds to the target keelson::agent; paths are relative to agent/.
set(AGENT_SHUTDOWN_PUBLIC shutdown/logind.h shutdown/node_shutdown.h shutdown/shutdown_order.h)
set(AGENT_SHUTDOWN_SRCS shutdown/logind.cpp shutdown/node_shutdown.cpp shutdown/shutdown_order.cpp)
set(AGENT_SHUTDOWN_UNIT_TESTS shutdown/node_shutdown_test.cpp shutdown/shutdown_order_test.cpp)
set(AGENT_SHUTDOWN_PEER_TESTS shutdown/logind_test.cpp)
