// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/channel.h"

namespace keelson::rpc {

std::shared_ptr<grpc::Channel> channel_to(const std::string& socket, int max_message) {
  grpc::ChannelArguments arguments;
  if (max_message > 0) {
    arguments.SetMaxReceiveMessageSize(max_message);
    arguments.SetMaxSendMessageSize(max_message);
  }
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  return grpc::CreateCustomChannel("unix:" + socket, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace keelson::rpc
