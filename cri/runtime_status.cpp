// SPDX-License-Identifier: Apache-2.0
// RPC Status: whether pods can be run now, and what we can do.
#include <boost/json.hpp>

#include "cri/service.h"

namespace keelson::cri {

namespace {

void add_condition(v1::RuntimeStatus& status, std::string_view type, const Result<>& outcome, std::string_view reason) {
  auto* condition = status.add_conditions();
  condition->set_type(std::string(type));
  condition->set_status(outcome.has_value());
  if (!outcome) {
    condition->set_reason(std::string(reason));
    condition->set_message(outcome.error().message());
  }
}

std::string config_info(const Parts& parts) {
  const auto& options = parts.options;
  return boost::json::serialize(boost::json::value{{"stateDir", options.state_dir},
                                                   {"runDir", options.run_dir},
                                                   {"cniConfDir", options.cni_conf_dir},
                                                   {"shim", options.shim_binary},
                                                   {"cgroups", parts.cgroups.unified() ? "v2" : "v1"}});
}

}  // namespace

grpc::Status RuntimeService::Status(grpc::ServerContext*, const v1::StatusRequest* request,
                                    v1::StatusResponse* response) {
  auto* status = response->mutable_status();
  add_condition(*status, "RuntimeReady", {}, "");
  add_condition(*status, "NetworkReady", parts_.network.ready(), "NetworkPluginNotReady");
  for (const auto* name : {"", "keelson"}) {
    auto* handler = response->add_runtime_handlers();
    handler->set_name(name);
    handler->mutable_features()->set_recursive_read_only_mounts(true);
    handler->mutable_features()->set_user_namespaces(!parts_.no_user_namespaces);
  }
  for (const auto& [name, features] : parts_.handler_features) {
    auto* handler = response->add_runtime_handlers();
    handler->set_name(name);
    handler->mutable_features()->set_recursive_read_only_mounts(features.recursive_read_only_mounts);
    handler->mutable_features()->set_user_namespaces(false);
  }
  response->mutable_features()->set_supplemental_groups_policy(true);
  if (request->verbose()) {
    (*response->mutable_info())["config"] = config_info(parts_);
  }
  return grpc::Status::OK;
}

}  // namespace keelson::cri
