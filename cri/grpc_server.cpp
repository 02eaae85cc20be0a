// SPDX-License-Identifier: Apache-2.0
// grpc_server.h: the parts put together, and a socket in front.
#include "cri/grpc_server.h"

#include <grpcpp/resource_quota.h>
#include <grpcpp/server_builder.h>
#include <sys/stat.h>

#include "common/fd.h"
#include "common/log.h"
#include "cri/runtime/handlers.h"
#include "cri/runtime/lifecycle.h"
#include "cri/runtime/reconcile.h"
#include "cri/runtime/seccomp.h"
#include "cri/service.h"
#include "cri/shim/user_namespace.h"

namespace keelson::cri {

namespace {

constexpr int kMaxMessage = 16 << 20;  // what the kubelet allows itself
constexpr std::chrono::seconds kCallsEnd{2};

ShimWatcher::Listener listener_for(Parts& parts) {
  return {.exited =
              [&parts](const std::string&, const shim::ProcessStatus& status) {
                if (!status.exec_id.empty()) {
                  parts.execs.exited(status.exec_id, status.exit_code);
                } else if (const auto located = parts.pods.container(status.container_id)) {
                  record_exit(parts, *located, status);
                }
              },
          .lost =
              [&parts](const std::string& sandbox_id) {
                log::warning("sandbox {}: its shim ended; its containers are dead", sandbox_id);
                record_loss(parts, sandbox_id);
              }};
}

Result<> make_mount_points(const std::string& dir) {
  for (const auto* folder : {"/proc", "/dev", "/sys", "/etc"}) {
    KEELSON_DO(make_directories(dir + folder, 0755));
  }
  for (const auto* file : {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}) {
    KEELSON_TRY(auto made, open_file(dir + file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  }
  return {};
}

StreamingOptions streaming_options(const RuntimeOptions& options) {
  StreamingOptions streaming{.address = options.streaming_address, .port = options.streaming_port};
  streaming.times.idle = options.streaming_idle;
  if (!options.streaming_tls_cert_file.empty() || !options.streaming_tls_key_file.empty()) {
    streaming.tls = TlsFiles{.certificate = options.streaming_tls_cert_file, .key = options.streaming_tls_key_file};
  }
  return streaming;
}

Result<std::unique_ptr<Parts>> make_parts(RuntimeOptions options, ImageSource& images) {
  KEELSON_DO(make_directories(options.state_dir, 0711));
  KEELSON_DO(make_directories(options.run_dir, 0711));
  // What a container's root has written (programs that run as their owner, say) is not for users of the node
  // (CVE-2021-41103), nor is a pod's shared memory.
  KEELSON_DO(make_private_directory(options.state_dir + "/containers"));
  KEELSON_DO(make_private_directory(options.state_dir + "/sandboxes"));
  KEELSON_DO(make_private_directory(options.run_dir + "/sandboxes"));
  KEELSON_TRY(auto records, Records::open(options.state_dir));
  KEELSON_TRY(auto cgroups,
              cgroup::Tree::open(options.systemd_cgroups ? cgroup::Driver::systemd : cgroup::Driver::cgroupfs));
  auto parts = std::unique_ptr<Parts>(
      new Parts{options,
                std::move(records),
                std::move(cgroups),
                Network(options.cni_conf_dir, options.cni_bin_dirs, options.state_dir + "/cni", options.cni_timeout),
                std::nullopt,
                images,
                {},
                {},
                {},
                nullptr,
                nullptr});
  KEELSON_DO(make_mount_points(parts->mount_points_dir()));
  if (auto tried = shim::try_user_namespace(options.state_dir); !tried) {
    parts->no_user_namespaces = tried.error();
    log::info("no user namespaces for pods: {}", tried.error().message());
  }
  for (const auto& handler : options.handlers) {
    parts->handler_features[handler.name] = ask_features(handler);
  }
  KEELSON_TRY(parts->streaming, StreamingServer::start(streaming_options(options)));
  KEELSON_TRY(parts->watcher, ShimWatcher::start(listener_for(*parts)));
  return parts;
}

class GrpcServer final : public Server {
 public:
  explicit GrpcServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)), runtime_(*parts_) {}
  ~GrpcServer() override { stop(); }

  Result<> serve(const std::vector<grpc::Service*>& services) {
    const auto& socket = parts_->options.socket;
    ::unlink(socket.c_str());
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(kMaxMessage);
    builder.SetMaxSendMessageSize(kMaxMessage);
    builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 4);
    builder.AddListeningPort("unix://" + socket, grpc::InsecureServerCredentials());
    builder.RegisterService(&runtime_);
    for (auto* service : services) {
      builder.RegisterService(service);
    }
    grpc_ = builder.BuildAndStart();
    if (!grpc_) {
      return fail(Kind::unavailable, "serve CRI on {}: cannot listen", socket);
    }
    ::chmod(socket.c_str(), 0660);
    return {};
  }

  void stop() override {
    if (grpc_) {
      parts_->events.close();
      grpc_->Shutdown(std::chrono::system_clock::now() + kCallsEnd);
      grpc_->Wait();
      grpc_.reset();
      parts_->streaming.reset();
      parts_->watcher.reset();
    }
  }

 private:
  const std::unique_ptr<Parts> parts_;
  RuntimeService runtime_;
  std::unique_ptr<grpc::Server> grpc_;
};

}  // namespace

Result<std::unique_ptr<Server>> start_server(RuntimeOptions options, ImageSource& images,
                                             const std::vector<grpc::Service*>& services,
                                             const std::function<void()>& before_serving) {
  KEELSON_TRY(auto parts, make_parts(std::move(options), images));
  KEELSON_DO(reconcile(*parts).context("read back the runtime's records"));
  KEELSON_DO(default_seccomp_program(default_capabilities()));  // 25 ms that the first pod need not wait
  auto server = std::make_unique<GrpcServer>(std::move(parts));
  if (before_serving) {
    before_serving();
  }
  KEELSON_DO(server->serve(services));
  return server;
}

}  // namespace keelson::cri
