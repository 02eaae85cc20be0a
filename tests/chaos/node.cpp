// SPDX-License-Identifier: Apache-2.0
// node.h.
#include "tests/chaos/node.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/chaos/inventory.h"
#include "tests/support/cluster_images.h"

namespace keelson::chaos {

namespace fs = std::filesystem;

Node::Node(std::string bin) : bin_(std::move(bin)) {
  std::string pattern = "/tmp/keelson-chaos-XXXXXX";
  home_ = ::mkdtemp(pattern.data());
  fs::create_directories(home_ + "/cni");
  std::ofstream(home_ + "/cni/10.conflist") << fmt::format(
      R"({{"cniVersion":"1.1.0","name":"chaos","plugins":[{{"type":"keelson-cni","dataDir":"{}/ipam","ranges":["10.251.0.0/24"]}}]}})",
      home_);
  testing::make_images(home_ + "/images");
  runc_ = testing::run({"sh", "-c", "command -v runc"}).out;
  runc_.erase(std::min(runc_.find('\n'), runc_.size()));
}

Node::~Node() {
  kill();
  for (const auto& pid : processes_of(*this)) {
    ::kill(pid, SIGKILL);
  }
  for (const auto& mount : mounts_of(*this)) {
    testing::run({"umount", "-l", mount});
  }
  for (const auto& hierarchy : fs::directory_iterator("/sys/fs/cgroup")) {
    testing::run({"find", hierarchy.path().string() + cgroup(), "-depth", "-type", "d", "-delete"});
  }
  std::error_code ignored;
  fs::remove_all(home_, ignored);
}

bool Node::start() {
  std::vector<std::string> command = {bin_ + "/keelson",  "--run",           home_ + "/run",  "node",
                                      "--roles",          "runtime",         "--root",        home_ + "/root",
                                      "--cni-conf-dir",   home_ + "/cni",    "--cni-bin-dir", bin_,
                                      "--image-archives", home_ + "/images", "--cgroup-root", cgroup()};
  if (has_runc()) {
    command.insert(command.end(), {"--runtime-handler", "runc=" + runc_});
  }
  daemon_ = testing::Background(command, home_ + "/node.log");
  const auto socket = home_ + "/run/cri.sock";
  for (int attempt = 0; attempt < 1000 && alive() && !testing::takes_connections(socket); ++attempt) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  // A new connection, which knows of no earlier refusal: gRPC would wait before it tries again.
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  auto channel = grpc::CreateCustomChannel("unix:" + socket, grpc::InsecureChannelCredentials(), arguments);
  std::shared_ptr<v1::RuntimeService::Stub> runtime = v1::RuntimeService::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  context.set_wait_for_ready(true);
  v1::VersionResponse version;
  std::lock_guard lock(mutex_);
  runtime_ = runtime;
  images_ = v1::ImageService::NewStub(channel);
  auto answer = runtime->Version(&context, {}, &version);
  if (!answer.ok()) {
    fmt::print("the daemon ({}) does not answer: {}\n", alive() ? "it runs" : "it has ended", answer.error_message());
  }
  return answer.ok();
}

void Node::kill() {
  daemon_.kill();
}

bool Node::alive() {
  return daemon_.alive();
}

std::shared_ptr<v1::RuntimeService::Stub> Node::runtime() const {
  std::lock_guard lock(mutex_);
  return runtime_;
}

std::shared_ptr<v1::ImageService::Stub> Node::images() const {
  std::lock_guard lock(mutex_);
  return images_;
}

std::string Node::cgroup() const {
  return "/" + fs::path(home_).filename().string();
}

std::string Node::log_tail() const {
  return testing::run({"tail", "-n", "15", home_ + "/node.log"}).out;
}

}  // namespace keelson::chaos
