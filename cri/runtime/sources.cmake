# SPDX-License-Identifier: Apache-2.0
# What runtime/ adds to the target keelson::cri; paths are relative to cri/.
set(CRI_RUNTIME_SRCS
  runtime/capabilities.cpp runtime/seccomp.cpp runtime/seccomp_filter.cpp runtime/seccomp_profile.cpp runtime/records.cpp
  runtime/container.cpp runtime/sandbox.cpp runtime/pod_table.cpp runtime/status_view.cpp runtime/signals.cpp)
set(CRI_RUNTIME_UNIT_TESTS runtime/security_test.cpp)
