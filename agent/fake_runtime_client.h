// SPDX-License-Identifier: Apache-2.0
// For tests: a CRI runtime that can do nothing. What a test needs of one it overrides.
#pragma once

#include "cri/client/client.h"

namespace keelson::agent {

class FakeRuntimeClient : public cri::RuntimeClient {
 public:
  Task<cri::RuntimeVersion> version(Duration) override { return none<cri::RuntimeVersion>(); }
  Task<cri::RuntimeStatus> status(Duration) override { return none<cri::RuntimeStatus>(); }
  Task<> update_runtime_config(std::string, Duration) override { return none<void>(); }
  Task<std::string> run_pod_sandbox(cri::SandboxConfig, std::string, Duration) override { return none<std::string>(); }
  Task<> stop_pod_sandbox(std::string, Duration) override { return none<void>(); }
  Task<> remove_pod_sandbox(std::string, Duration) override { return none<void>(); }
  Task<cri::SandboxStatus> pod_sandbox_status(std::string, Duration) override { return none<cri::SandboxStatus>(); }
  Task<std::vector<cri::SandboxStatus>> list_pod_sandboxes(cri::ListFilter, Duration) override {
    return none<std::vector<cri::SandboxStatus>>();
  }
  Task<std::string> create_container(std::string, cri::ContainerConfig, cri::SandboxConfig, Duration) override {
    return none<std::string>();
  }
  Task<> start_container(std::string, Duration) override { return none<void>(); }
  Task<> stop_container(std::string, std::chrono::seconds, Duration) override { return none<void>(); }
  Task<> remove_container(std::string, Duration) override { return none<void>(); }
  Task<cri::ContainerStatus> container_status(std::string, Duration) override { return none<cri::ContainerStatus>(); }
  Task<std::vector<cri::ContainerStatus>> list_containers(cri::ListFilter, Duration) override {
    return none<std::vector<cri::ContainerStatus>>();
  }
  Task<> update_container_resources(std::string, cri::LinuxResources, Duration) override { return none<void>(); }
  Task<> reopen_container_log(std::string, Duration) override { return none<void>(); }
  Task<std::map<std::string, cri::FileUse>> list_writable_layers(Duration) override {
    return none<std::map<std::string, cri::FileUse>>();
  }
  Task<cri::ExecResult> exec_sync(std::string, std::vector<std::string>, Duration) override {
    return none<cri::ExecResult>();
  }
  Task<std::string> exec(std::string, StreamRequest, Duration) override { return none<std::string>(); }
  Task<std::string> attach(std::string, StreamRequest, Duration) override { return none<std::string>(); }
  Task<std::string> port_forward(std::string, std::vector<uint16_t>, Duration) override { return none<std::string>(); }
  Task<std::vector<cri::Image>> list_images(Duration) override { return none<std::vector<cri::Image>>(); }
  Task<> checkpoint_container(std::string, std::string, int64_t, Duration) override { return none<void>(); }
  Task<cri::Image> image_status(std::string, Duration) override { return none<cri::Image>(); }
  Task<std::string> pull_image(std::string, cri::AuthConfig, cri::SandboxConfig, Duration) override {
    return none<std::string>();
  }
  Task<> remove_image(std::string, Duration) override { return none<void>(); }
  Task<cri::FileUse> image_store(Duration) override { return none<cri::FileUse>(); }
  Task<std::vector<std::string>> load_image(std::string, Duration) override { return none<std::vector<std::string>>(); }
  void watch_events(std::function<void(cri::ContainerEvent)>, std::function<void()>) override {}

 private:
  template <class T>
  static Task<T> none() {
    co_return fail(Kind::unsupported, "this runtime can do nothing");
  }
};

}  // namespace keelson::agent
