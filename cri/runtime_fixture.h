// SPDX-License-Identifier: Apache-2.0
// A whole runtime in a temporary folder, with a busybox image and a gRPC client: what the kernel tests stand on.
#pragma once

#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <regex>
#include <set>
#include <string>

#include "common/fd.h"
#include "common/netlink.h"
#include "cri/grpc_server.h"
#include "cri/proto/api.grpc.pb.h"

namespace keelson::cri {

namespace v1 = ::runtime::v1;
namespace fs = std::filesystem;

/// One unpacked image, "busybox", and others that can only be mounted.
class FolderImage final : public ImageSource {
 public:
  explicit FolderImage(std::string layer) : layer_(std::move(layer)) {}
  /// "name", with the id "sha256:name".
  void add(const std::string& name, std::vector<std::string> layers) { others_[name] = std::move(layers); }
  /// The ids that are held.
  std::multiset<std::string> held() const {
    const std::scoped_lock lock(mutex_);
    std::multiset<std::string> ids;
    for (const auto& [user, id] : held_) {
      ids.insert(id);
    }
    return ids;
  }

  Result<RootImage> acquire(const std::string& image, const std::string& user) override {
    const std::scoped_lock lock(mutex_);
    const auto name = image.starts_with("sha256:") ? image.substr(7) : image;
    if (const auto other = others_.find(name); other != others_.end()) {
      held_.emplace(user, "sha256:" + name);
      return RootImage{
          .id = "sha256:" + name, .reference = {}, .layers = other->second, .defaults = {}, .stop_signal = {}};
    }
    if (image != "busybox" && image != "sha256:busybox") {
      return fail(Kind::not_found, "image \"{}\" not found", image);
    }
    return RootImage{.id = "sha256:busybox",
                     .reference = "busybox@sha256:0",
                     .layers = {layer_},
                     .defaults = {.entrypoint = {},
                                  .command = {"sleep", "1000"},
                                  .env = {"PATH=/bin"},
                                  .working_dir = "",
                                  .user = ""},
                     .stop_signal = "SIGTERM"};
  }
  void release(const std::string& user) override {
    const std::scoped_lock lock(mutex_);
    held_.erase(user);
  }
  void remove_unused() override {}

 private:
  const std::string layer_;
  std::map<std::string, std::vector<std::string>> others_;
  mutable std::mutex mutex_;
  std::multimap<std::string, std::string> held_;  // by user
};

class RuntimeFixture : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "SKIP: needs root (namespaces, cgroups, mounts)";
    }
    if (!fs::exists("/bin/busybox")) {
      GTEST_SKIP() << "SKIP: needs busybox-static";
    }
    enter_own_network();
    char name[] = "/tmp/keelson-rt-XXXXXX";
    dir_ = ::mkdtemp(name);
    const auto bin = dir_ + "/layer/bin";
    fs::create_directories(bin);
    fs::create_directories(dir_ + "/layer/etc");
    fs::copy("/bin/busybox", bin + "/busybox");
    for (const char* applet :
         {"sh", "cat", "ls", "echo", "sleep", "test", "true", "id", "touch", "dd", "tail", "kill", "yes", "rm"}) {
      fs::create_symlink("busybox", bin + "/" + applet);
    }
    std::ofstream(dir_ + "/layer/etc/passwd") << "root:x:0:0:root:/root:/bin/sh\n";
    images_ = std::make_unique<FolderImage>(dir_ + "/layer");
    const char* built = ::getenv("KEELSON_BIN");
    options_.state_dir = dir_ + "/state";
    options_.run_dir = dir_ + "/run";
    options_.socket = dir_ + "/cri.sock";
    options_.shim_binary = std::string(built ? built : "build/bin") + "/keelson-shim";
    options_.cni_conf_dir = dir_ + "/net.d";
    options_.cni_bin_dirs = {built ? built : "build/bin"};
    fs::create_directories(options_.cni_conf_dir);
    std::ofstream(options_.cni_conf_dir + "/10-test.conflist") << fmt::format(
        R"({{"cniVersion":"1.1.0","name":"net","plugins":[{{"type":"keelson-cni","dataDir":"{}/ipam","ranges":["10.77.0.0/24"]}}]}})",
        dir_);
    options_.default_cgroup_parent = "/" + fs::path(dir_).filename().string();
    mounts_ = count_mounts();
    start();
  }

  void TearDown() override {
    if (dir_.empty()) {
      return;
    }
    server_.reset();
    EXPECT_EQ(count_mounts(), mounts_) << "a mount was left";
    EXPECT_FALSE(fs::exists(cgroup_dir("memory", options_.default_cgroup_parent))) << "a cgroup was left";
    EXPECT_EQ(entries(options_.run_dir + "/sandboxes"), 0) << "a sandbox folder was left";
    EXPECT_EQ(entries(options_.state_dir + "/sandboxes"), 0) << "files of a sandbox were left";
    EXPECT_EQ(entries(options_.state_dir + "/containers"), 0) << "a container folder was left";
    EXPECT_TRUE(remove_tree(dir_));
  }

  /// The node has cgroup v2 alone.
  static bool unified() { return fs::exists("/sys/fs/cgroup/cgroup.controllers"); }
  static std::string cgroup_dir(const std::string& controller, const std::string& cgroup) {
    return "/sys/fs/cgroup" + (unified() ? "" : "/" + controller) + cgroup;
  }
  /// What stands in a cgroup's file, which has another name in each version.
  static std::string cgroup_value(const std::string& cgroup, const std::string& v1_file, const std::string& v2_file) {
    const auto dir = cgroup_dir(v1_file.substr(0, v1_file.find('.')), cgroup);
    return read_file(dir + "/" + (unified() ? v2_file : v1_file)).value_or("none");
  }

  /// The test's node has a network of its own; the server's threads are born into it.
  static void enter_own_network() {
    static const bool entered = ::unshare(CLONE_NEWNET) == 0;
    ASSERT_TRUE(entered) << errno_text(errno);
    auto netlink = Netlink::open();
    ASSERT_TRUE(netlink) << netlink.error().message();
    ASSERT_TRUE(netlink->set_up(netlink->find_link("lo")->index));
  }

  virtual void start() {
    auto server = start_server(options_, *images_);
    ASSERT_TRUE(server) << server.error().message();
    server_ = std::move(*server);
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(16 << 20);  // as the kubelet
    stub_ = v1::RuntimeService::NewStub(
        grpc::CreateCustomChannel("unix://" + options_.socket, grpc::InsecureChannelCredentials(), arguments));
  }
  /// As after kill -9 and a new start, but for the process.
  void restart() {
    stub_.reset();
    server_.reset();
    start();
  }

  static int entries(const std::string& dir) {
    return fs::exists(dir) ? static_cast<int>(std::distance(fs::directory_iterator(dir), {})) : 0;
  }
  int count_mounts() const {
    std::ifstream file("/proc/self/mountinfo");
    int count = 0;
    for (std::string line; std::getline(file, line);) {
      count += line.find(dir_) != std::string::npos ? 1 : 0;
    }
    return count;
  }

  template <class Request, class Response, class Method>
  grpc::Status call(Method method, const Request& request, Response& response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(120));
    return (stub_.get()->*method)(&context, request, &response);
  }

  v1::PodSandboxConfig sandbox_config(const std::string& name) const {
    v1::PodSandboxConfig config;
    config.mutable_metadata()->set_name(name);
    config.mutable_metadata()->set_namespace_("default");
    config.mutable_metadata()->set_uid("uid-" + name);
    config.set_hostname(name);
    config.set_log_directory(dir_ + "/logs/" + name);
    config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_network(v1::NODE);
    return config;
  }
  v1::ContainerConfig container_config(const std::string& name, std::vector<std::string> command) const {
    v1::ContainerConfig config;
    config.mutable_metadata()->set_name(name);
    config.mutable_image()->set_image("busybox");
    config.set_log_path(name + ".log");
    config.mutable_command()->Assign(command.begin(), command.end());
    auto* security = config.mutable_linux()->mutable_security_context();
    security->mutable_namespace_options()->set_pid(v1::CONTAINER);
    security->mutable_seccomp()->set_profile_type(v1::SecurityProfile::RuntimeDefault);
    return config;
  }

  /// The image "pages" of two layers, and a container's wish to have it at /pages.
  void add_pages_image() {
    fs::create_directories(dir_ + "/pages-top");
    fs::create_directories(dir_ + "/pages-base/sub");
    std::ofstream(dir_ + "/pages-top/index") << "new\n";
    std::ofstream(dir_ + "/pages-base/index") << "old\n";
    std::ofstream(dir_ + "/pages-base/sub/page") << "below\n";
    images_->add("pages", {dir_ + "/pages-top", dir_ + "/pages-base"});
  }
  static v1::Mount* mount_pages(v1::ContainerConfig& config, const std::string& sub_path = {}) {
    auto* mount = config.add_mounts();
    mount->set_container_path("/pages");
    mount->set_readonly(true);
    mount->mutable_image()->set_image("pages");
    mount->mutable_image()->set_user_specified_image("example.com/pages:1");
    mount->set_image_sub_path(sub_path);
    return mount;
  }

  /// The pid of the sandbox's shim, as verbose status tells it; 0 if it does not.
  pid_t shim_of(const std::string& sandbox) {
    v1::PodSandboxStatusRequest request;
    request.set_pod_sandbox_id(sandbox);
    request.set_verbose(true);
    v1::PodSandboxStatusResponse response;
    EXPECT_TRUE(call(&v1::RuntimeService::Stub::PodSandboxStatus, request, response).ok());
    std::smatch match;
    const auto& info = response.info().at("info");
    return std::regex_search(info, match, std::regex("\"pid\":(\\d+)")) ? std::stoi(match[1]) : 0;
  }

  /// Until `condition` holds; fails the test after a minute.
  template <class Condition>
  void wait_until(const char* what, Condition&& condition) {
    for (int i = 0; i < 12'000 && !condition(); ++i) {
      ::usleep(5000);
    }
    ASSERT_TRUE(condition()) << what;
  }
  /// Its log as it is on disk; empty while there is none.
  std::string log_of(const std::string& pod, const std::string& container) const {
    return read_file(dir_ + "/logs/" + pod + "/" + container + ".log").value_or("");
  }

  std::string run_sandbox(const v1::PodSandboxConfig& config) {
    v1::RunPodSandboxRequest request;
    *request.mutable_config() = config;
    v1::RunPodSandboxResponse response;
    const auto status = call(&v1::RuntimeService::Stub::RunPodSandbox, request, response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.pod_sandbox_id();
  }
  grpc::Status create(const std::string& sandbox, const v1::ContainerConfig& config, std::string* id) {
    v1::CreateContainerRequest request;
    request.set_pod_sandbox_id(sandbox);
    *request.mutable_config() = config;
    v1::CreateContainerResponse response;
    const auto status = call(&v1::RuntimeService::Stub::CreateContainer, request, response);
    *id = response.container_id();
    return status;
  }
  grpc::Status start_container(const std::string& id) {
    v1::StartContainerRequest request;
    request.set_container_id(id);
    v1::StartContainerResponse response;
    return call(&v1::RuntimeService::Stub::StartContainer, request, response);
  }
  std::string run_container(const std::string& sandbox, const v1::ContainerConfig& config) {
    std::string id;
    auto status = create(sandbox, config, &id);
    EXPECT_TRUE(status.ok()) << status.error_message();
    status = start_container(id);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return id;
  }
  grpc::Status stop_container(const std::string& id, int64_t timeout) {
    v1::StopContainerRequest request;
    request.set_container_id(id);
    request.set_timeout(timeout);
    v1::StopContainerResponse response;
    return call(&v1::RuntimeService::Stub::StopContainer, request, response);
  }
  grpc::Status remove_container(const std::string& id) {
    v1::RemoveContainerRequest request;
    request.set_container_id(id);
    v1::RemoveContainerResponse response;
    return call(&v1::RuntimeService::Stub::RemoveContainer, request, response);
  }
  grpc::Status stop_sandbox(const std::string& id) {
    v1::StopPodSandboxRequest request;
    request.set_pod_sandbox_id(id);
    v1::StopPodSandboxResponse response;
    return call(&v1::RuntimeService::Stub::StopPodSandbox, request, response);
  }
  grpc::Status remove_sandbox(const std::string& id) {
    v1::RemovePodSandboxRequest request;
    request.set_pod_sandbox_id(id);
    v1::RemovePodSandboxResponse response;
    return call(&v1::RuntimeService::Stub::RemovePodSandbox, request, response);
  }
  grpc::Status exec(const std::string& id, std::vector<std::string> command, int64_t timeout,
                    v1::ExecSyncResponse* response) {
    v1::ExecSyncRequest request;
    request.set_container_id(id);
    request.mutable_cmd()->Assign(command.begin(), command.end());
    request.set_timeout(timeout);
    return call(&v1::RuntimeService::Stub::ExecSync, request, *response);
  }
  v1::ContainerStatusResponse status_of(const std::string& id) {
    v1::ContainerStatusRequest request;
    request.set_container_id(id);
    request.set_verbose(true);
    v1::ContainerStatusResponse response;
    const auto status = call(&v1::RuntimeService::Stub::ContainerStatus, request, response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  v1::PodSandboxState sandbox_state(const std::string& id) {
    v1::PodSandboxStatusRequest request;
    request.set_pod_sandbox_id(id);
    v1::PodSandboxStatusResponse response;
    EXPECT_TRUE(call(&v1::RuntimeService::Stub::PodSandboxStatus, request, response).ok());
    return response.status().state();
  }
  /// Follows the events until the container has stopped; its final status.
  v1::ContainerStatus wait_exit(const std::string& id) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    const auto events = stub_->GetContainerEvents(&context, {});
    v1::ContainerEventResponse event;
    events->WaitForInitialMetadata();
    while (status_of(id).status().state() != v1::CONTAINER_EXITED && events->Read(&event)) {
    }
    context.TryCancel();
    return status_of(id).status();
  }

  std::string dir_;
  int mounts_ = 0;
  RuntimeOptions options_;
  std::unique_ptr<FolderImage> images_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::RuntimeService::Stub> stub_;
};

}  // namespace keelson::cri
