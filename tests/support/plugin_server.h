// SPDX-License-Identifier: Apache-2.0
// What programs that play a kubelet's plugin have in common: flags, sockets, the registration, and an end by SIGTERM.
#pragma once

#include <grpcpp/grpcpp.h>
#include <signal.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/plugins/proto/registration.grpc.pb.h"

namespace keelson::testing {

/// "--flag value" pairs: what each was given, in order.
std::map<std::string, std::vector<std::string>> read_flags(int count, char** values);
/// The last value of a flag; else `otherwise`.
std::string flag(const std::map<std::string, std::vector<std::string>>& flags, const std::string& name,
                 const std::string& otherwise = "");

/// At a socket that is made anew; nullptr: it cannot be.
std::unique_ptr<grpc::Server> serve(grpc::Service& service, const std::string& socket);
/// At once, whatever is being asked. nullptr is fine.
void stop(std::unique_ptr<grpc::Server>& server);

/// Who the plugin is, and what becomes of its registration: "registered yes", or why not.
class PluginRegistration final : public pluginregistration::Registration::Service {
 public:
  PluginRegistration(pluginregistration::PluginInfo info, std::function<void(const std::string&)> note)
      : info_(std::move(info)), note_(std::move(note)) {}
  grpc::Status GetInfo(grpc::ServerContext*, const pluginregistration::InfoRequest*,
                       pluginregistration::PluginInfo* answer) override;
  grpc::Status NotifyRegistrationStatus(grpc::ServerContext*, const pluginregistration::RegistrationStatus* status,
                                        pluginregistration::RegistrationStatusResponse*) override;

 private:
  const pluginregistration::PluginInfo info_;
  const std::function<void(const std::string&)> note_;
};
pluginregistration::PluginInfo plugin_info(const std::string& type, const std::string& name,
                                           const std::string& endpoint, const std::string& version);

/// SIGTERM, which no thread takes from now on but who waits for it: before the first server.
sigset_t hold_sigterm();

}  // namespace keelson::testing
