// SPDX-License-Identifier: Apache-2.0
#include "bench/our_node.h"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>

#include "bench/service_objects.h"
#include "common/netns.h"

namespace keelson::bench {

namespace fs = std::filesystem;

OurNode::Marks::~Marks() {
  (void)ebpf::Programs::remove(pins);
  std::error_code ignored;
  fs::remove(pins, ignored);
  fs::remove(cgroup, ignored);
}

OurNode::OurNode(std::unique_ptr<Marks> marks, std::unique_ptr<Loop> loop)
    : marks_(std::move(marks)), loop_(std::move(loop)) {}

OurNode::~OurNode() {
  if (thread_.joinable()) {
    loop_->stop();
    thread_.join();
  }
}

Result<OurNode> OurNode::start(const ServiceWorld& world, uint32_t count) {
  KEELSON_TRY(auto root, ebpf::cgroup2_root());
  auto marks = std::make_unique<Marks>("/sys/fs/bpf/" + world.name(), root + "/" + world.name());
  fs::create_directories(marks->cgroup);
  OurNode node(std::move(marks), std::make_unique<Loop>(real_clock(), "kl-bench"));
  KEELSON_TRY(auto guard, NetnsGuard::enter(world.netns("node")));
  KEELSON_TRY(node.router_, network::Router::open(*node.loop_, {.node_name = "node",
                                                                .bpf_dir = node.marks_->pins,
                                                                .socket_cgroup = node.marks_->cgroup,
                                                                .links = {.uplinks = {kUplink}}}));
  network::ObjectBatch batch{.objects = {}, .synced = true};
  for (auto& [service, slice] : services_with_slices(count)) {
    batch.objects.services.push_back(std::move(service));
    batch.objects.slices.push_back(std::move(slice));
  }
  size_t failed = count;
  node.router_->on_sync([&](const network::SyncReport& report) { failed = report.failed; });
  node.router_->take(std::move(batch));
  node.router_->on_sync([](const network::SyncReport&) {});
  if (failed != 0) {
    return fail(Kind::internal, "{} of {} services were not routed", failed, count);
  }
  node.thread_ = std::jthread([loop = node.loop_.get(), netns = world.netns("node")] {
    if (auto inside = NetnsGuard::enter(netns); !inside) {
      fmt::print(stderr, "bench: tables do not grow: {}\n", inside.error().message());
    } else {
      loop->run();
    }
  });
  return node;
}

}  // namespace keelson::bench
