// SPDX-License-Identifier: Apache-2.0
#include "tests/support/plugin_server.h"

#include <chrono>
#include <filesystem>

namespace keelson::testing {

std::map<std::string, std::vector<std::string>> read_flags(int count, char** values) {
  std::map<std::string, std::vector<std::string>> flags;
  for (int i = 1; i + 1 < count; i += 2) {
    flags[values[i]].emplace_back(values[i + 1]);
  }
  return flags;
}

std::string flag(const std::map<std::string, std::vector<std::string>>& flags, const std::string& name,
                 const std::string& otherwise) {
  const auto found = flags.find(name);
  return found != flags.end() ? found->second.back() : otherwise;
}

std::unique_ptr<grpc::Server> serve(grpc::Service& service, const std::string& socket) {
  std::filesystem::remove(socket);
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + socket, grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  return builder.BuildAndStart();
}

void stop(std::unique_ptr<grpc::Server>& server) {
  if (server) {
    server->Shutdown(std::chrono::system_clock::now());
    server.reset();
  }
}

grpc::Status PluginRegistration::GetInfo(grpc::ServerContext*, const pluginregistration::InfoRequest*,
                                         pluginregistration::PluginInfo* answer) {
  *answer = info_;
  return grpc::Status::OK;
}

grpc::Status PluginRegistration::NotifyRegistrationStatus(grpc::ServerContext*,
                                                          const pluginregistration::RegistrationStatus* status,
                                                          pluginregistration::RegistrationStatusResponse*) {
  note_("registered " + (status->plugin_registered() ? "yes" : status->error()));
  return grpc::Status::OK;
}

pluginregistration::PluginInfo plugin_info(const std::string& type, const std::string& name,
                                           const std::string& endpoint, const std::string& version) {
  pluginregistration::PluginInfo info;
  info.set_type(type);
  info.set_name(name);
  info.set_endpoint(endpoint);
  info.add_supported_versions(version);
  return info;
}

sigset_t hold_sigterm() {
  sigset_t ends;
  ::sigemptyset(&ends);
  ::sigaddset(&ends, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  return ends;
}

}  // namespace keelson::testing
