// SPDX-License-Identifier: Apache-2.0
// A runtime that has runc as a handler: what the kernel tests of handlers stand on.
#pragma once

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/mount.h>

#include <map>
#include <thread>

#include "cri/runtime_fixture.h"

namespace keelson::cri {

/// runc, or another that takes its command line (KEELSON_OCI_RUNTIME: its path), as crun.
inline const char* const kRunc =
    ::getenv("KEELSON_OCI_RUNTIME") != nullptr ? ::getenv("KEELSON_OCI_RUNTIME") : "/usr/sbin/runc";

inline std::string read(const std::string& path) {
  return read_file(path).value_or("<" + path + " is not there>");
}

class HandlerFixture : public RuntimeFixture {
 protected:
  void SetUp() override {
    if (!fs::exists(kRunc)) {
      GTEST_SKIP() << "SKIP: needs runc";
    }
    options_.handlers = {{.name = "runc", .command = {kRunc}}, {.name = "gone", .command = {"/no/such/runtime"}}};
    RuntimeFixture::SetUp();
  }
  /// From here on the handler "script": runs `lines` with $verb, and $log, and "$@" for runc.
  void use_script(const std::string& lines) {
    std::ofstream(dir_ + "/script") << "#!/bin/sh\nlog=$4 verb=$7\n" << lines << "\n";
    fs::permissions(dir_ + "/script", fs::perms::owner_all);
    options_.handlers.push_back({.name = "script", .command = {dir_ + "/script"}});
    restart();
  }
  void TearDown() override {
    if (!dir_.empty()) {
      ::umount2((dir_ + "/volume").c_str(), MNT_DETACH);  // if the test has mounted one
      EXPECT_EQ(entries(state_dir()), 0) << "runc knows a container still";
      for (const auto* hierarchy : {"devices", "pids", "systemd", "unified"}) {
        EXPECT_FALSE(fs::exists(cgroup_dir(hierarchy, options_.default_cgroup_parent))) << hierarchy;
      }
    }
    RuntimeFixture::TearDown();
  }

  std::string state_dir() const { return options_.run_dir + "/oci/runc"; }

  grpc::Status run_sandbox_of(const std::string& handler, const v1::PodSandboxConfig& config, std::string* id) {
    v1::RunPodSandboxRequest request;
    *request.mutable_config() = config;
    request.set_runtime_handler(handler);
    v1::RunPodSandboxResponse response;
    const auto status = call(&v1::RuntimeService::Stub::RunPodSandbox, request, response);
    *id = response.pod_sandbox_id();
    return status;
  }
  std::string run_runc_sandbox(const std::string& name) { return run_runc_sandbox(sandbox_config(name)); }
  std::string run_runc_sandbox(const v1::PodSandboxConfig& config) {
    std::string id;
    const auto status = run_sandbox_of("runc", config, &id);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return id;
  }
  pid_t pid_of(const std::string& id) {
    std::smatch match;
    const auto info = status_of(id).info().at("info");
    return std::regex_search(info, match, std::regex("\"pid\":(\\d+)")) ? std::stoi(match[1]) : 0;
  }
};

}  // namespace keelson::cri
