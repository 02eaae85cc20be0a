# SPDX-License-Identifier: Apache-2.0
# What kubelet_api/ adds to the target keelson::agent; paths are relative to agent/.
set(AGENT_KUBELET_API_PUBLIC kubelet_api/authenticator.h kubelet_api/authorizer.h kubelet_api/client_authority.h kubelet_api/kubelet_api.h kubelet_api/review_cache.h
  kubelet_api/reviewer.h kubelet_api/stats_endpoints.h kubelet_api/system_logs.h)
set(AGENT_KUBELET_API_SRCS kubelet_api/authenticator.cpp kubelet_api/authorizer.cpp kubelet_api/checkpoint_endpoint.cpp kubelet_api/client_authority.cpp kubelet_api/healthz.cpp kubelet_api/kubelet_api.cpp kubelet_api/pod_counters.cpp kubelet_api/profile_endpoints.cpp kubelet_api/request_counters.cpp
  kubelet_api/reviewer.cpp kubelet_api/serving_pair.cpp kubelet_api/stats_endpoints.cpp kubelet_api/system_logs.cpp)
set(AGENT_KUBELET_API_UNIT_TESTS kubelet_api/authenticator_test.cpp kubelet_api/authorizer_test.cpp kubelet_api/healthz_test.cpp kubelet_api/kubelet_api_test.cpp kubelet_api/pod_counters_test.cpp kubelet_api/request_counters_test.cpp kubelet_api/review_cache_test.cpp
  kubelet_api/serving_pair_test.cpp kubelet_api/system_logs_test.cpp)
