# SPDX-License-Identifier: Apache-2.0
# What carries pods from source to status.
set(AGENT_LIFECYCLE_PUBLIC agent.h api_server.h container_log.h log_rotator.h log_watcher.h network_look.h critical_pod.h container_probes.h container_prober.h cri_pod_runtime.h event_recorder.h node_limits.h node_usage.h observed.h pod_endpoints.h plan.h pleg.h pod_configs.h probe_record.h pull_gate.h
  pod_runtime.h pod_status.h pod_worker.h timeline.h worker_stats.h)
set(AGENT_LIFECYCLE_SRCS agent.cpp agent_stats.cpp api_server.cpp claim_usage.cpp container_log.cpp log_rotator.cpp log_watcher.cpp rotated_logs.cpp container_in_force.cpp container_statuses.cpp container_prober.cpp cri_pod_runtime.cpp event_recorder.cpp
  hooks.cpp network_look.cpp node_limits.cpp node_usage.cpp plan.cpp plan_init.cpp plan_termination.cpp pleg.cpp pod_endpoints.cpp pod_request.cpp pod_phase.cpp
  pod_status.cpp pod_worker.cpp pod_worker_images.cpp pod_worker_kill.cpp pod_worker_probes.cpp pod_worker_start.cpp probe_record.cpp probe_target.cpp pull_gate.cpp runtime_conditions.cpp timeline.cpp worker_stats.cpp)
set(AGENT_LIFECYCLE_LIBS OpenSSL::Crypto ZLIB::ZLIB)
set(AGENT_LIFECYCLE_UNIT_TESTS testing.cpp agent_resize_test.cpp agent_simulation_test.cpp agent_sources_test.cpp agent_stats_test.cpp agent_test.cpp api_server_test.cpp container_in_force_test.cpp container_log_test.cpp cri_pod_runtime_test.cpp hooks_test.cpp log_rotator_test.cpp network_look_test.cpp plan_test.cpp pod_end_test.cpp pod_status_test.cpp probe_target_test.cpp pleg_test.cpp pull_gate_test.cpp rotated_logs_test.cpp)
