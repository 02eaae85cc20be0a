// SPDX-License-Identifier: Apache-2.0
// device-plugin --resource NAME --folder DIR --node DIR [--registry DIR]
// A device plugin whose devices stand in DIR/devices, a line each: "id Healthy"; a change of the file is told. It
// registers with kubelet.sock in the node's folder, anew for each new socket there; or, with --registry, by a socket
// in the kubelet's plugins_registry. A container has the variable DONGLE, the folder DIR/shared at /dongle and the
// device /dev/dongle, which is the node's /dev/zero. Each call is a line of DIR/calls. SIGTERM ends it.
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "agent/devices/proto/device_plugin.grpc.pb.h"
#include "tests/support/plugin_server.h"

namespace {

namespace fs = std::filesystem;
using keelson::testing::flag;
using keelson::testing::hold_sigterm;
using keelson::testing::plugin_info;
using keelson::testing::PluginRegistration;
using keelson::testing::read_flags;
using keelson::testing::serve;
using keelson::testing::stop;

constexpr auto kLook = std::chrono::milliseconds(50);

struct Options {
  std::string resource;
  std::string folder;
  std::string node;
  std::string registry;
};

class Plugin final : public v1beta1::DevicePlugin::Service {
 public:
  explicit Plugin(const Options& options) : options_(options) {}

  grpc::Status GetDevicePluginOptions(grpc::ServerContext*, const v1beta1::Empty*,
                                      v1beta1::DevicePluginOptions* answer) override {
    answer->set_pre_start_required(true);
    return grpc::Status::OK;
  }
  grpc::Status ListAndWatch(grpc::ServerContext* context, const v1beta1::Empty*,
                            grpc::ServerWriter<v1beta1::ListAndWatchResponse>* writer) override {
    std::map<std::string, std::string> told = {{"", ""}};
    while (!context->IsCancelled()) {
      if (const auto now = devices(); now != told) {
        told = now;
        v1beta1::ListAndWatchResponse list;
        for (const auto& [id, health] : now) {
          auto* device = list.add_devices();
          device->set_id(id);
          device->set_health(health);
        }
        writer->Write(list);
      }
      std::this_thread::sleep_for(kLook);
    }
    return grpc::Status::OK;
  }
  grpc::Status Allocate(grpc::ServerContext*, const v1beta1::AllocateRequest* request,
                        v1beta1::AllocateResponse* answer) override {
    for (const auto& container : request->container_requests()) {
      const auto ids = joined(container.device_ids());
      note("Allocate " + ids);
      auto* given = answer->add_container_responses();
      (*given->mutable_envs())["DONGLE"] = ids;
      auto* mount = given->add_mounts();
      mount->set_container_path("/dongle");
      mount->set_host_path(options_.folder + "/shared");
      auto* device = given->add_devices();
      device->set_container_path("/dev/dongle");
      device->set_host_path("/dev/zero");
      device->set_permissions("rw");
    }
    return grpc::Status::OK;
  }
  grpc::Status PreStartContainer(grpc::ServerContext*, const v1beta1::PreStartContainerRequest* request,
                                 v1beta1::PreStartContainerResponse*) override {
    note("PreStartContainer " + joined(request->device_ids()));
    return grpc::Status::OK;
  }

  void note(const std::string& call) {
    const std::lock_guard lock(mutex_);
    std::ofstream(options_.folder + "/calls", std::ios::app) << call << std::endl;
  }

 private:
  static std::string joined(const google::protobuf::RepeatedPtrField<std::string>& ids) {
    std::string text;
    for (const auto& id : ids) {
      text += (text.empty() ? "" : ",") + id;
    }
    return text;
  }
  std::map<std::string, std::string> devices() const {
    std::map<std::string, std::string> all;
    std::ifstream file(options_.folder + "/devices");
    for (std::string id, health; file >> id >> health;) {
      all[id] = health;
    }
    return all;
  }

  const Options& options_;
  std::mutex mutex_;
};

void sign_up(const Options& options, Plugin& plugin) {
  const auto channel =
      grpc::CreateChannel("unix:" + options.node + "/kubelet.sock", grpc::InsecureChannelCredentials());
  v1beta1::RegisterRequest request;
  request.set_version("v1beta1");
  request.set_endpoint("dongle.sock");
  request.set_resource_name(options.resource);
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  v1beta1::Empty answer;
  const auto status = v1beta1::Registration::NewStub(channel)->Register(&context, request, &answer);
  plugin.note("registered " + (status.ok() ? "yes" : status.error_message()));
}

/// Which file is there: one that is made anew may have the old one's inode.
std::string identity_of(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 ? std::to_string(info.st_ino) + " " + std::to_string(info.st_ctim.tv_sec) +
                                                " " + std::to_string(info.st_ctim.tv_nsec)
                                          : "";
}

bool is_to_end(const sigset_t& ends) {
  const timespec no_longer{.tv_sec = 0, .tv_nsec = std::chrono::nanoseconds(kLook).count()};
  return ::sigtimedwait(&ends, nullptr, &no_longer) == SIGTERM;
}

void run_by_registry(const Options& options, Plugin& plugin, const sigset_t& ends) {
  PluginRegistration registration(
      plugin_info("DevicePlugin", options.resource, options.folder + "/plugin.sock", "v1beta1"),
      [&plugin](const std::string& what) { plugin.note(what); });
  const auto registry_socket = options.registry + "/dongle-reg.sock";
  auto plugin_server = serve(plugin, options.folder + "/plugin.sock");
  auto registration_server = serve(registration, registry_socket);
  while (!is_to_end(ends)) {
  }
  fs::remove(registry_socket);
  stop(registration_server);
  stop(plugin_server);
}

void run_by_node(const Options& options, Plugin& plugin, const sigset_t& ends) {
  std::unique_ptr<grpc::Server> server;
  std::string known;
  do {
    const auto now = identity_of(options.node + "/kubelet.sock");
    if (now.empty() || now == known) {
      continue;
    }
    known = now;
    stop(server);  // the node has removed its socket
    server = serve(plugin, options.node + "/dongle.sock");
    sign_up(options, plugin);
  } while (!is_to_end(ends));
  stop(server);
}

}  // namespace

int main(int count, char** values) {
  const auto flags = read_flags(count, values);
  const Options options{.resource = flag(flags, "--resource"),
                        .folder = flag(flags, "--folder"),
                        .node = flag(flags, "--node"),
                        .registry = flag(flags, "--registry")};
  if (options.resource.empty() || options.folder.empty() || options.node.empty()) {
    std::cerr << "usage: device-plugin --resource NAME --folder DIR --node DIR [--registry DIR]\n";
    return 2;
  }
  const sigset_t ends = hold_sigterm();
  fs::create_directories(options.folder + "/shared");
  Plugin plugin(options);
  if (options.registry.empty()) {
    run_by_node(options, plugin, ends);
  } else {
    run_by_registry(options, plugin, ends);
  }
  return 0;
}
