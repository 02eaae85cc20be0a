// SPDX-License-Identifier: Apache-2.0
// RPC PortForward: the URL of a session that connects into a sandbox's network.
#include <sys/socket.h>

#include "common/netns.h"
#include "cri/service.h"
#include "cri/status.h"

namespace keelson::cri {

namespace {

Result<Fd> tcp_socket(int family) {
  Fd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) {
    return fail_errno(errno, "make a socket");
  }
  return fd;
}

// A socket stays in the namespace where it was made, whoever connects it.
Result<Fd> socket_inside(const std::string& netns, int family) {
  KEELSON_TRY(const auto inside, NetnsGuard::enter(netns));
  return tcp_socket(family);
}

}  // namespace

grpc::Status RuntimeService::PortForward(grpc::ServerContext*, const v1::PortForwardRequest* request,
                                         v1::PortForwardResponse* response) {
  const auto sandbox = parts_.pods.sandbox(request->pod_sandbox_id());
  if (!sandbox) {
    return to_status(sandbox);
  }
  if (!(*sandbox)->ready()) {
    return to_status(Result<>(fail(Kind::conflict, "sandbox {} is not running", (*sandbox)->id())));
  }
  const auto netns = (*sandbox)->read([](const auto& record) { return record.netns_path(); });
  ForwardOffer offer{.sandbox = (*sandbox)->id(), .netns = netns.empty() ? "host" : netns, .open_socket = tcp_socket};
  for (const auto port : request->port()) {
    if (port < 1 || port > 65535) {
      return to_status(Result<>(fail(Kind::invalid, "port {} is not one from 1 to 65535", port)));
    }
    offer.ports.push_back(static_cast<uint16_t>(port));
  }
  if (!netns.empty()) {
    offer.open_socket = [netns](int family) { return socket_inside(netns, family); };
  }
  auto url = parts_.streaming->offer("portforward", std::move(offer));
  if (url) {
    response->set_url(*url);
  }
  return to_status(url);
}

}  // namespace keelson::cri
