// SPDX-License-Identifier: Apache-2.0
// Server: sockets and threads around the services.
#include "cri/server.h"

#include <grpcpp/server_builder.h>
#include <sys/stat.h>

#include "common/fd.h"
#include "cri/service.h"

namespace keelson::cri {

namespace {

constexpr int kMaxMessage = 16 << 20;  // what the kubelet allows itself

class GrpcServer final : public Server {
 public:
  explicit GrpcServer(RuntimeOptions options) : options_(std::move(options)) {}
  ~GrpcServer() override { stop(); }

  Result<> serve() {
    KEELSON_DO(make_directories(options_.state_dir, 0711));
    KEELSON_DO(make_directories(options_.run_dir, 0711));
    ::unlink(options_.socket.c_str());
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(kMaxMessage);
    builder.SetMaxSendMessageSize(kMaxMessage);
    builder.AddListeningPort("unix://" + options_.socket, grpc::InsecureServerCredentials());
    builder.RegisterService(&runtime_);
    grpc_ = builder.BuildAndStart();
    if (!grpc_) {
      return fail(Kind::unavailable, "serve CRI on {}: cannot listen", options_.socket);
    }
    ::chmod(options_.socket.c_str(), 0660);
    return {};
  }

  void stop() override {
    if (grpc_) {
      grpc_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(2));
      grpc_->Wait();
      grpc_.reset();
    }
  }

 private:
  const RuntimeOptions options_;
  RuntimeService runtime_;
  std::unique_ptr<grpc::Server> grpc_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::start(RuntimeOptions options) {
  auto server = std::make_unique<GrpcServer>(std::move(options));
  KEELSON_DO(server->serve());
  return server;
}

}  // namespace keelson::cri
