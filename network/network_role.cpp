// SPDX-License-Identifier: Apache-2.0
#include "network/network_role.h"

#include <thread>

#include "common/log.h"
#include "common/task_group.h"

namespace keelson::network {
namespace {

class Role : public NetworkRole {
 public:
  explicit Role(NetworkOptions options) : options_(std::move(options)) {}
  ~Role() override {
    if (thread_.joinable()) {
      stop();
    }
  }

  Result<> begin() {
    KEELSON_TRY(router_, Router::open(loop_, options_.router));
    source_ = folder_source(loop_, options_.manifest_dir);
    thread_ = std::jthread([this] {
      tasks_.spawn("links", router_->run());
      tasks_.spawn("source", source_->run([this](ObjectBatch batch) { router_->take(std::move(batch)); }));
      loop_.run();
    });
    return {};
  }

  bool stop() override {
    loop_.post([this] { stopping_.spawn("stop", end()); });
    thread_.join();
    if (!options_.remove_on_exit) {
      return true;
    }
    auto removed = ebpf::Programs::remove(options_.router.bpf_dir);
    if (!removed) {
      log::error("{}", removed.error().message());
    }
    return removed.has_value();
  }

 private:
  Task<> end() {
    KEELSON_CO_DO(co_await tasks_.close());
    loop_.stop();
    co_return Result<>();
  }

  NetworkOptions options_;
  Loop loop_{real_clock(), "kl-network"};
  std::unique_ptr<Router> router_;
  std::unique_ptr<ObjectSource> source_;
  TaskGroup tasks_{loop_};
  TaskGroup stopping_{loop_};
  std::jthread thread_;
};

}  // namespace

Result<std::unique_ptr<NetworkRole>> NetworkRole::start(NetworkOptions options) {
  auto role = std::make_unique<Role>(std::move(options));
  KEELSON_DO(role->begin());
  return role;
}

}  // namespace keelson::network
