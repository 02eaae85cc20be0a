// SPDX-License-Identifier: Apache-2.0
#include "common/link_watch.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <boost/asio/posix/stream_descriptor.hpp>

#include "common/fd.h"

namespace keelson {
namespace {

class NetlinkWatch : public LinkWatch {
 public:
  NetlinkWatch(Loop& loop, Fd socket) : stream_(loop.io(), socket.release()) {}

  Task<> next() override {
    auto [error] = co_await stream_.async_wait(asio::posix::stream_descriptor::wait_read, use_result);
    if (error) {
      co_return fail_asio(error, "wait for link changes");
    }
    // An overflow (ENOBUFS) is a change, too: the caller looks at everything.
    char buffer[16384];
    while (::recv(stream_.native_handle(), buffer, sizeof buffer, MSG_DONTWAIT) > 0) {
    }
    co_return Result<>();
  }

 private:
  asio::posix::stream_descriptor stream_;
};

}  // namespace

Result<std::unique_ptr<LinkWatch>> LinkWatch::open(Loop& loop) {
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  if (!socket || ::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return fail_errno(errno, "watch the links");
  }
  return std::make_unique<NetlinkWatch>(loop, std::move(socket));
}

}  // namespace keelson
