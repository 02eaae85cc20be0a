// SPDX-License-Identifier: Apache-2.0
// Keelson's services on the node of a ServiceWorld: the router of role `network`, in this process, fed with objects in
// memory. So everything that handles packets is the daemon's, tables that grow with the flows too, and none of it waits
// for a source.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "bench/service_world.h"
#include "common/loop.h"
#include "network/router.h"

namespace keelson::bench {

class OurNode {
 public:
  /// `count` services are routed when it returns: on packets of all the node's links, and on sockets of cgroup().
  static Result<OurNode> start(const ServiceWorld& world, uint32_t count);
  OurNode(OurNode&&) noexcept = default;
  OurNode& operator=(OurNode&&) = delete;
  ~OurNode();  ///< Programs, pins and the cgroup are gone.

  const std::string& cgroup() const { return marks_->cgroup; }

 private:
  /// What is left in the file systems.
  struct Marks {
    std::string pins, cgroup;
    ~Marks();
  };
  OurNode(std::unique_ptr<Marks> marks, std::unique_ptr<Loop> loop);
  std::unique_ptr<Marks> marks_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<network::Router> router_;
  std::jthread thread_;  // of the loop, once the services are routed
};

}  // namespace keelson::bench
