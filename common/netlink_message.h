// SPDX-License-Identifier: Apache-2.0
// Messages to the kernel's rtnetlink by libnl, sent and answered.
#pragma once

#include <linux/netlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include <functional>
#include <string>

#include "common/result.h"

namespace keelson::rtnetlink {

/// One request; its header and attributes are put into `raw`.
struct Message {
  explicit Message(int type, int flags) : raw(nlmsg_alloc_simple(type, flags | NLM_F_REQUEST)) {}
  ~Message() { nlmsg_free(raw); }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
  nl_msg* raw;
};

/// Kind as netlink.h says: libnl's number as the kernel's errno. `what` was tried.
std::unexpected<Error> fail_netlink(int nl_error, const std::string& what);

/// Sends a request, and waits for the acknowledgement.
Result<> exchange(nl_sock* socket, Message& message, const std::string& what);

using Visitor = std::function<void(nlmsghdr*)>;

/// Sends a request with answers (a dump, or one object), and shows each.
Result<> ask(nl_sock* socket, Message& message, const Visitor& visit, const std::string& what);

/// Asks for a dump, again while others change the table meanwhile; `begin` forgets what an interrupted one has shown.
template <class Header>
Result<> dump(nl_sock* socket, int type, Header info, const std::function<void()>& begin, const Visitor& visit,
              const std::string& what) {
  constexpr int kAttempts = 100;
  Result<> outcome;
  for (int i = 0; i < kAttempts; ++i) {
    Message message(type, NLM_F_DUMP);
    nlmsg_append(message.raw, &info, sizeof info, NLMSG_ALIGNTO);
    begin();
    outcome = ask(socket, message, visit, what);
    if (outcome || outcome.error().code() != EAGAIN) {
      break;
    }
  }
  return outcome;
}

}  // namespace keelson::rtnetlink
