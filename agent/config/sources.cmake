# SPDX-License-Identifier: Apache-2.0
# What config/ adds to the target keelson::agent; paths are relative to agent/.
set(AGENT_CONFIG_PUBLIC config/node_pod_configs.h config/credential_config.h config/credential_plugins.h config/login_files.h config/dns.h config/field_values.h config/pod_inputs.h config/resources.h config/pod_storage.h config/pod_work.h config/allotments.h config/volume_mounts.h config/host_path.h config/node_cgroups.h config/group_owner.h config/volume_stats.h)
set(AGENT_CONFIG_SRCS
 config/node_cgroups.cpp config/resources.cpp config/pod_cgroups.cpp config/field_values.cpp config/go_quote.cpp config/env.cpp config/dns.cpp config/atomic_folder.cpp
  config/volume_files.cpp config/volume_mounts.cpp config/empty_dir.cpp config/volumes.cpp config/volume_stats.cpp config/handler_features.cpp config/group_owner.cpp config/host_path.cpp config/user_ranges.cpp config/log_links.cpp config/security.cpp config/image_auth.cpp config/credential_config.cpp config/credential_plugins.cpp config/container_mounts.cpp config/node_pod_configs.cpp config/pod_files.cpp config/pod_warnings.cpp)
set(AGENT_CONFIG_LIBS yaml-cpp)
set(AGENT_CONFIG_UNIT_TESTS
  config/atomic_folder_test.cpp config/dns_test.cpp config/empty_dir_test.cpp config/env_test.cpp config/field_values_test.cpp config/handler_features_test.cpp config/image_auth_test.cpp config/credential_config_test.cpp config/credential_plugins_test.cpp config/pod_warnings_test.cpp config/resources_test.cpp
  config/security_test.cpp config/user_ranges_test.cpp config/volume_stats_test.cpp)
set(AGENT_CONFIG_KERNEL_TESTS config/node_pod_configs_test.cpp config/volumes_test.cpp)
