// SPDX-License-Identifier: Apache-2.0
#include "agent/devices/registration.h"

#include <grpcpp/grpcpp.h>

#include "agent/devices/proto/device_plugin.grpc.pb.h"

namespace keelson::devices {

namespace {

/// Said once, whatever becomes of who is to say it.
class Answer {
 public:
  explicit Answer(grpc::ServerUnaryReactor* reactor) : reactor_(reactor) {}
  ~Answer() { say({grpc::StatusCode::UNAVAILABLE, "the node's agent ends"}); }
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;

  void say(const grpc::Status& status) {
    if (auto* reactor = std::exchange(reactor_, nullptr)) {
      reactor->Finish(status);
    }
  }

 private:
  grpc::ServerUnaryReactor* reactor_;
};

Task<> serve(Task<> taking, std::shared_ptr<Answer> answer) {
  const auto taken = co_await std::move(taking);
  // What Go's gRPC makes of an error that has no code.
  answer->say(taken ? grpc::Status::OK : grpc::Status(grpc::StatusCode::UNKNOWN, taken.error().message()));
  co_return Result<>();
}

}  // namespace

class RegistrationServer::Service final : public v1beta1::Registration::CallbackService {
 public:
  Service(Loop& loop, TaskGroup& tasks, TakeRegistration take) : loop_(loop), tasks_(tasks), take_(std::move(take)) {}

  grpc::ServerUnaryReactor* Register(grpc::CallbackServerContext* context, const v1beta1::RegisterRequest* request,
                                     v1beta1::Empty*) override {
    auto* reactor = context->DefaultReactor();
    loop_.post(
        [this, answer = std::make_shared<Answer>(reactor),
         said = devices::Registration{
             .version = request->version(), .endpoint = request->endpoint(), .resource = request->resource_name()}] {
          tasks_.spawn("registration of " + said.resource, serve(take_(said), answer));
        });
    return reactor;
  }

 private:
  Loop& loop_;
  TaskGroup& tasks_;
  const TakeRegistration take_;
};

struct RegistrationServer::State {
  State(Loop& loop, TakeRegistration take) : tasks(loop), service(loop, tasks, std::move(take)) {}
  TaskGroup tasks;
  Service service;
  std::unique_ptr<grpc::Server> server;
  asio::thread_pool pool{1};  // where the server's end is waited for
};

RegistrationServer::RegistrationServer() = default;
RegistrationServer::~RegistrationServer() {
  state_->pool.join();
}

Result<std::unique_ptr<RegistrationServer>> RegistrationServer::start(Loop& loop, const std::string& socket,
                                                                      TakeRegistration take) {
  std::unique_ptr<RegistrationServer> made(new RegistrationServer());
  made->state_ = std::make_unique<State>(loop, std::move(take));
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + socket, grpc::InsecureServerCredentials());
  builder.RegisterService(&made->state_->service);
  made->state_->server = builder.BuildAndStart();
  if (!made->state_->server) {
    return fail(Kind::unavailable, "serve device plugins on {}: cannot listen", socket);
  }
  return made;
}

/// Answers come from this loop, so it may not wait for the server itself.
Task<> RegistrationServer::close() {
  KEELSON_CO_DO(co_await state_->tasks.close());
  co_return co_await blocking(state_->pool, [server = state_->server.get()]() -> Result<> {
    server->Shutdown(std::chrono::system_clock::now());
    server->Wait();
    return {};
  });
}

}  // namespace keelson::devices
