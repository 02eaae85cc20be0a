// SPDX-License-Identifier: Apache-2.0
// csi-driver --name NAME --folder DIR --registry DIR [--node-id ID] [--capability NAME]...
// A CSI driver's node part whose volumes are folders: volume V is DIR/volumes/V, staged and published by bind mounts.
// It registers by a socket in the kubelet's plugins_registry. Each call is a line of DIR/calls; while DIR/refuse-<call>
// exists, that call fails with its text, and while DIR/hang-NodeGetVolumeStats exists, that one does not answer. Of each
// volume it tells the same use, and as long as DIR/abnormal exists that something is wrong, in its words. SIGTERM ends
// it: its sockets go, and nothing else.
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <sys/mount.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "agent/storage/proto/csi.grpc.pb.h"
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
using Strings = google::protobuf::Map<std::string, std::string>;

struct Options {
  std::string name;
  std::string folder;
  std::string registry;
  std::string node_id;
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
  grpc::Status NodeExpandVolume(grpc::ServerContext*, const csi::v1::NodeExpandVolumeRequest* request,
                                csi::v1::NodeExpandVolumeResponse* answer) override {
    const auto size = request->capacity_range().required_bytes();
    answer->set_capacity_bytes(size);
    return begin("NodeExpandVolume", request->volume_id() + " bytes=" + std::to_string(size) +
                                         (is_mounted(request->volume_path()) ? " published" : "") +
                                         (is_mounted(request->staging_target_path()) ? " staged" : "") +
                                         sorted(request->secrets()));
  }
  grpc::Status NodeGetVolumeStats(grpc::ServerContext* context, const csi::v1::NodeGetVolumeStatsRequest* request,
                                  csi::v1::NodeGetVolumeStatsResponse* answer) override {
    const auto status = begin("NodeGetVolumeStats", request->volume_id());
    while (fs::exists(options_.folder + "/hang-NodeGetVolumeStats") && !context->IsCancelled()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    for (const auto unit : {csi::v1::VolumeUsage::BYTES, csi::v1::VolumeUsage::INODES}) {
      auto* usage = answer->add_usage();
      usage->set_unit(unit);
      usage->set_total(unit == csi::v1::VolumeUsage::BYTES ? 1000 : 10);
      usage->set_used(unit == csi::v1::VolumeUsage::BYTES ? 400 : 4);
      usage->set_available(unit == csi::v1::VolumeUsage::BYTES ? 600 : 6);
    }
    if (std::ifstream words(options_.folder + "/abnormal"); words) {
      answer->mutable_volume_condition()->set_abnormal(true);
      answer->mutable_volume_condition()->set_message({std::istreambuf_iterator<char>(words), {}});
    }
    return status;
  }

  void note(const std::string& line) {
    const std::lock_guard lock(mutex_);
    std::ofstream(options_.folder + "/calls", std::ios::app) << line << std::endl;
  }

 private:
  std::string volume(const std::string& id) const {
    const auto path = options_.folder + "/volumes/" + id;
    fs::create_directories(path);
    return path;
  }
  grpc::Status begin(const std::string& call, const std::string& about) {
    note(call + " " + about);
    std::ifstream refusal(options_.folder + "/refuse-" + call);
    return refusal ? failed({std::istreambuf_iterator<char>(refusal), {}}) : grpc::Status::OK;
  }

  const Options& options_;
  std::mutex mutex_;
};

}  // namespace

int main(int count, char** values) {
  auto flags = read_flags(count, values);
  const Options options{.name = flag(flags, "--name"),
                        .folder = flag(flags, "--folder"),
                        .registry = flag(flags, "--registry"),
                        .node_id = flag(flags, "--node-id", "node-of-the-driver"),
                        .capabilities = flags["--capability"]};
  if (options.name.empty() || options.folder.empty() || options.registry.empty()) {
    std::cerr << "usage: csi-driver --name NAME --folder DIR --registry DIR [--node-id ID] [--capability NAME]...\n";
    return 2;
  }
  const sigset_t ends = hold_sigterm();
  fs::create_directories(options.folder);
  fs::create_directories(options.registry);
  Driver driver(options);
  PluginRegistration registration(plugin_info("CSIPlugin", options.name, options.folder + "/csi.sock", "1.0.0"),
                                  [&driver](const std::string& what) { driver.note(what); });
  const auto registry_socket = options.registry + "/" + options.name + "-reg.sock";
  auto driver_server = serve(driver, options.folder + "/csi.sock");
  auto registration_server = serve(registration, registry_socket);
  if (!driver_server || !registration_server) {
    return 1;
  }
  int signal = 0;
  ::sigwait(&ends, &signal);
  fs::remove(registry_socket);
  stop(registration_server);
  stop(driver_server);
  return 0;
}
