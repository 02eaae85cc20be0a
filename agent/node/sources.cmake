# SPDX-License-Identifier: Apache-2.0
# What node/ adds to the target keelson::agent; paths are relative to agent/.
set(AGENT_NODE_PUBLIC node/cluster_certificate.h node/eviction_signals.h node/heartbeat.h node/kernel_settings.h node/lease_renewer.h node/machine.h node/node_api.h node/node_labels.h node/oom_watch.h node/node_registrar.h node/node_stats.h node/node_status.h node/node_addresses.h node/node_board.h
  node/resources.h node/x509.h)
set(AGENT_NODE_SRCS
  node/bootstrap.cpp node/cluster_certificate.cpp node/eviction_signals.cpp node/heartbeat.cpp node/kernel_settings.cpp node/lease_renewer.cpp node/machine.cpp node/name_lookup.cpp node/node_addresses.cpp node/node_api.cpp node/node_labels.cpp node/node_registrar.cpp node/node_stats.cpp node/node_status.cpp node/oom_watch.cpp node/resources.cpp node/x509.cpp)
set(AGENT_NODE_UNIT_TESTS
  node/bootstrap_test.cpp node/cluster_certificate_test.cpp node/fake_node_api.cpp node/kernel_settings_test.cpp node/lease_renewer_test.cpp node/machine_test.cpp node/node_addresses_test.cpp node/node_registrar_test.cpp node/node_stats_test.cpp node/node_status_test.cpp node/oom_watch_test.cpp node/resources_test.cpp)
