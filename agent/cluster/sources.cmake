# SPDX-License-Identifier: Apache-2.0
# What cluster/ adds to the target keelson::agent; paths are relative to agent/.
set(AGENT_CLUSTER_PUBLIC cluster/api_call.h cluster/cluster.h cluster/sysctls.h cluster/pod_range.h cluster/token_request.h)
set(AGENT_CLUSTER_SRCS
  cluster/admission.cpp cluster/api_call.cpp cluster/cluster.cpp cluster/cluster_stats.cpp cluster/event_aggregator.cpp cluster/event_sender.cpp cluster/mirror_pods.cpp cluster/node_affinity.cpp
  cluster/pod_ledger.cpp cluster/pod_range.cpp cluster/preemption.cpp cluster/references.cpp cluster/referred_objects.cpp cluster/resize.cpp cluster/start_latency.cpp cluster/status_manager.cpp cluster/sysctls.cpp cluster/token_manager.cpp cluster/token_request.cpp)
set(AGENT_CLUSTER_UNIT_TESTS
  cluster/small_api.cpp cluster/admission_test.cpp cluster/api_parts_test.cpp cluster/pod_ledger_test.cpp cluster/pod_range_test.cpp cluster/preemption_test.cpp cluster/resize_test.cpp cluster/start_latency_test.cpp cluster/status_manager_test.cpp cluster/status_simulation_test.cpp cluster/sysctls_test.cpp)
