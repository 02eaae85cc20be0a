// SPDX-License-Identifier: Apache-2.0
#include "common/netlink_message.h"

#include <netlink/errno.h>

namespace keelson::rtnetlink {

namespace {

/// libnl has its own error numbers; the kernel's are behind the common ones.
int errno_of(int nl_error) {
  switch (-nl_error) {
    case NLE_EXIST:
      return EEXIST;
    case NLE_NODEV:
    case NLE_OBJ_NOTFOUND:
    case NLE_NOADDR:
      return ENODEV;
    case NLE_PERM:
      return EPERM;
    case NLE_INVAL:
      return EINVAL;
    case NLE_NOMEM:
      return ENOMEM;
    case NLE_BUSY:
      return EBUSY;
    case NLE_OPNOTSUPP:
      return EOPNOTSUPP;
    case NLE_RANGE:
      return ERANGE;
    case NLE_DUMP_INTR:
      return EAGAIN;
    default:
      return EIO;
  }
}

}  // namespace

std::unexpected<Error> fail_netlink(int nl_error, const std::string& what) {
  return fail_errno(errno_of(nl_error), "{}", what);
}

Result<> exchange(nl_sock* socket, Message& message, const std::string& what) {
  int error = nl_send_auto(socket, message.raw);
  if (error >= 0) {
    error = nl_wait_for_ack(socket);
  }
  if (error < 0) {
    return fail_netlink(error, what);
  }
  return {};
}

Result<> ask(nl_sock* socket, Message& message, const Visitor& visit, const std::string& what) {
  int error = nl_send_auto(socket, message.raw);
  if (error >= 0) {
    nl_cb* callbacks = nl_cb_alloc(NL_CB_DEFAULT);
    auto on_message = [](nl_msg* answer, void* visitor) {
      (*static_cast<const Visitor*>(visitor))(nlmsg_hdr(answer));
      return static_cast<int>(NL_OK);
    };
    nl_cb_set(callbacks, NL_CB_VALID, NL_CB_CUSTOM, on_message, const_cast<Visitor*>(&visit));
    error = nl_recvmsgs(socket, callbacks);
    nl_cb_put(callbacks);
  }
  if (error < 0) {
    return fail_netlink(error, what);
  }
  return {};
}

}  // namespace keelson::rtnetlink
