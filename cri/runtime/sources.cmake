# SPDX-License-Identifier: Apache-2.0
# What runtime/ adds to the target keelson::cri; paths are relative to cri/.
set(CRI_RUNTIME_SRCS
  runtime/records.cpp runtime/container.cpp runtime/sandbox.cpp runtime/pod_table.cpp runtime/status_view.cpp
  runtime/lifecycle.cpp runtime/lifecycle_sandbox.cpp runtime/reconcile.cpp runtime/watcher.cpp runtime/events.cpp
  runtime/exec.cpp runtime/exec_waiters.cpp runtime/stats.cpp
  runtime/spec.cpp runtime/spec_security.cpp runtime/spec_mounts.cpp runtime/spec_devices.cpp runtime/spec_cdi.cpp runtime/cdi.cpp runtime/cdi_spec.cpp runtime/signals.cpp
  runtime/id_mappings.cpp runtime/capabilities.cpp runtime/seccomp.cpp runtime/seccomp_filter.cpp runtime/seccomp_profile.cpp
  runtime/handlers.cpp runtime/image_volumes.cpp runtime/resources.cpp runtime/sysctls.cpp runtime/network.cpp runtime/sandbox_files.cpp)
set(CRI_RUNTIME_UNIT_TESTS runtime/cdi_test.cpp runtime/security_test.cpp runtime/spec_test.cpp runtime/records_test.cpp runtime/handlers_test.cpp runtime/network_test.cpp runtime/resources_test.cpp runtime/sysctls_test.cpp)
