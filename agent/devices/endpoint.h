// SPDX-License-Identifier: Apache-2.0
// One device plugin, as it is asked.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/devices/inventory.h"
#include "agent/devices/proto/device_plugin.grpc.pb.h"
#include "common/rpc/service_client.h"

namespace keelson::devices {

/// What a plugin wants to be asked.
struct PluginOptions {
  bool pre_start = false;
  bool preferred_allocation = false;
};

/// What it says of its devices: all of them, each time.
struct ListListener {
  std::function<void(const std::vector<Device>&)> listed;
  /// The stream has ended, and with it the plugin: it registers anew when it is back. Once, and nothing after it.
  std::function<void(const Error&)> ended;
};

/// Belongs to one loop; the listener is called there. What is open when it goes is cancelled, and nobody is called.
class Endpoint {
 public:
  Endpoint(Loop& loop, std::string resource, std::string socket);
  ~Endpoint();
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  const std::string& resource() const { return resource_; }
  const std::string& socket() const { return socket_; }
  const PluginOptions& options() const { return options_; }

  /// Reaches the plugin, which may take a while to be there, and learns options(). Errors in the kubelet's words.
  Task<> connect();
  /// Once; after connect().
  void watch(ListListener listener);
  /// Nobody is called any more.
  void unwatch();

  // Errors here are the plugin's, as Go prints them.
  Task<Ids> prefer(Ids available, Ids must_include, int64_t count);
  /// The bytes of its ContainerAllocateResponse.
  Task<std::string> allocate(Ids ids);
  Task<> pre_start(Ids ids);

 private:
  struct Watch;
  class Reader;
  using Client = rpc::ServiceClient<v1beta1::DevicePlugin>;

  Loop& loop_;
  const std::string resource_;
  const std::string socket_;
  PluginOptions options_;
  std::shared_ptr<Watch> watch_;
  Client client_;
};

}  // namespace keelson::devices
