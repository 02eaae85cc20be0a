// SPDX-License-Identifier: Apache-2.0
// csi-driver --name NAME --folder DIR --registry DIR [--node-id ID] [--capability NAME]...
// A CSI driver's node part whose volumes are folders: volume V is DIR/volumes/V, staged and published by bind mounts.
// It registers by a socket in the kubelet's plugins_registry. Each call is a line of DIR/calls; while DIR/refuse-<call>
// exists, that call fails with its text. SIGTERM ends it: its sockets go, and nothing else.
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <sys/mount.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "agent/plugins/proto/registration.grpc.pb.h"
#include "agent/storage/proto/csi.grpc.pb.h"

namespace {

namespace fs = std::filesystem;
using Strings = google::protobuf::Map<std::string, std::string>;

struct Options {
  std::string name;
  std::string folder;
  std::string registry;
  std::string node_id = "node-of-the-driver";
  std::vector<std::string> capabilities;
};

std::string sorted(const Strings& strings) {
  std::string text;
  for (const auto& [key, value] : std::map<std::string, std::string>(strings.begin(), strings.end())) {
    text += " " + key + "=" + value;
  }
  return text;
}

grpc::Status failed(const std::string& what) {
  return {grpc::StatusCode::INTERNAL, what};
}

grpc::Status mount_bind(const std::string& source, const std::string& target) {
  std::error_code error;
  fs::create_directories(target, error);
  if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) < 0) {
    return failed("mount " + target);
  }
  return grpc::Status::OK;
}

bool is_mounted(const std::string& target) {
  std::ifstream table("/proc/self/mountinfo");
  const std::string text{std::istreambuf_iterator<char>(table), {}};
  return text.find(" " + target + " ") != std::string::npos;
}

grpc::Status unmount_all(const std::string& target) {
  while (is_mounted(target)) {
    if (::umount(target.c_str()) < 0) {
      return failed("umount " + target);
    }
  }
  return grpc::Status::OK;
}

class Driver final : public csi::v1::Node::Service {
 public:
  explicit Driver(const Options& options) : options_(options) {}

  grpc::Status NodeGetInfo(grpc::ServerContext*, const csi::v1::NodeGetInfoRequest*,
                           csi::v1::NodeGetInfoResponse* answer) override {
    answer->set_node_id(options_.node_id);
    answer->set_max_volumes_per_node(7);
    (*answer->mutable_accessible_topology()->mutable_segments())["topology." + options_.name + "/rack"] = "r1";
    return begin("NodeGetInfo", "");
  }
  grpc::Status NodeGetCapabilities(grpc::ServerContext*, const csi::v1::NodeGetCapabilitiesRequest*,
                                   csi::v1::NodeGetCapabilitiesResponse* answer) override {
    for (const auto& name : options_.capabilities) {
      csi::v1::NodeServiceCapability::RPC::Type type{};
      csi::v1::NodeServiceCapability::RPC::Type_Parse(name, &type);
      answer->add_capabilities()->mutable_rpc()->set_type(type);
    }
    return begin("NodeGetCapabilities", "");
  }
  grpc::Status NodeStageVolume(grpc::ServerContext*, const csi::v1::NodeStageVolumeRequest* request,
                               csi::v1::NodeStageVolumeResponse*) override {
    const auto status = begin("NodeStageVolume", request->volume_id() + sorted(request->publish_context()) +
                                                     sorted(request->volume_context()) + sorted(request->secrets()));
    if (!status.ok() || is_mounted(request->staging_target_path())) {
      return status;
    }
    return mount_bind(volume(request->volume_id()), request->staging_target_path());
  }
  grpc::Status NodeUnstageVolume(grpc::ServerContext*, const csi::v1::NodeUnstageVolumeRequest* request,
                                 csi::v1::NodeUnstageVolumeResponse*) override {
    const auto status = begin("NodeUnstageVolume", request->volume_id());
    return status.ok() ? unmount_all(request->staging_target_path()) : status;
  }
  grpc::Status NodePublishVolume(grpc::ServerContext*, const csi::v1::NodePublishVolumeRequest* request,
                                 csi::v1::NodePublishVolumeResponse*) override {
    const auto& capability = request->volume_capability();
    const auto status = begin(
        "NodePublishVolume",
        request->volume_id() +
            " mode=" + csi::v1::VolumeCapability::AccessMode::Mode_Name(capability.access_mode().mode()) +
            (request->readonly() ? " readonly" : "") +
            (capability.mount().volume_mount_group().empty() ? ""
                                                             : " group=" + capability.mount().volume_mount_group()) +
            sorted(request->publish_context()) + sorted(request->volume_context()) + sorted(request->secrets()));
    if (!status.ok() || is_mounted(request->target_path())) {
      return status;
    }
    const auto& staged = request->staging_target_path();
    return mount_bind(staged.empty() ? volume(request->volume_id()) : staged, request->target_path());
  }
  grpc::Status NodeUnpublishVolume(grpc::ServerContext*, const csi::v1::NodeUnpublishVolumeRequest* request,
                                   csi::v1::NodeUnpublishVolumeResponse*) override {
    auto status = begin("NodeUnpublishVolume", request->volume_id());
    status = status.ok() ? unmount_all(request->target_path()) : status;
    if (status.ok()) {
      std::error_code ignored;
      fs::remove(request->target_path(), ignored);
    }
    return status;
  }

 private:
  std::string volume(const std::string& id) const {
    const auto path = options_.folder + "/volumes/" + id;
    fs::create_directories(path);
    return path;
  }
  grpc::Status begin(const std::string& call, const std::string& about) {
    const std::lock_guard lock(mutex_);
    std::ofstream(options_.folder + "/calls", std::ios::app) << call << " " << about << std::endl;
    std::ifstream refusal(options_.folder + "/refuse-" + call);
    return refusal ? failed({std::istreambuf_iterator<char>(refusal), {}}) : grpc::Status::OK;
  }

  const Options& options_;
  std::mutex mutex_;
};

class Registration final : public pluginregistration::Registration::Service {
 public:
  explicit Registration(const Options& options) : options_(options) {}
  grpc::Status GetInfo(grpc::ServerContext*, const pluginregistration::InfoRequest*,
                       pluginregistration::PluginInfo* answer) override {
    answer->set_type("CSIPlugin");
    answer->set_name(options_.name);
    answer->set_endpoint(options_.folder + "/csi.sock");
    answer->add_supported_versions("1.0.0");
    return grpc::Status::OK;
  }
  grpc::Status NotifyRegistrationStatus(grpc::ServerContext*, const pluginregistration::RegistrationStatus* status,
                                        pluginregistration::RegistrationStatusResponse*) override {
    std::ofstream(options_.folder + "/calls", std::ios::app)
        << "registered " << (status->plugin_registered() ? "yes" : status->error()) << std::endl;
    return grpc::Status::OK;
  }

 private:
  const Options& options_;
};

std::unique_ptr<grpc::Server> serve(grpc::Service& service, const std::string& socket) {
  fs::remove(socket);
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + socket, grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  return builder.BuildAndStart();
}

}  // namespace

int main(int count, char** values) {
  Options options;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string flag = values[i];
    const std::string value = values[i + 1];
    if (flag == "--name") {
      options.name = value;
    } else if (flag == "--folder") {
      options.folder = value;
    } else if (flag == "--registry") {
      options.registry = value;
    } else if (flag == "--node-id") {
      options.node_id = value;
    } else if (flag == "--capability") {
      options.capabilities.push_back(value);
    }
  }
  if (options.name.empty() || options.folder.empty() || options.registry.empty()) {
    std::cerr << "usage: csi-driver --name NAME --folder DIR --registry DIR [--node-id ID] [--capability NAME]...\n";
    return 2;
  }
  sigset_t ends;
  ::sigemptyset(&ends);
  ::sigaddset(&ends, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  fs::create_directories(options.folder);
  fs::create_directories(options.registry);
  Driver driver(options);
  Registration registration(options);
  const auto registry_socket = options.registry + "/" + options.name + "-reg.sock";
  const auto driver_server = serve(driver, options.folder + "/csi.sock");
  const auto registration_server = serve(registration, registry_socket);
  if (!driver_server || !registration_server) {
    return 1;
  }
  int signal = 0;
  ::sigwait(&ends, &signal);
  fs::remove(registry_socket);
  registration_server->Shutdown();
  driver_server->Shutdown();
  return 0;
}
