// SPDX-License-Identifier: Apache-2.0
// console.h: recvmsg(2).
#include "cri/shim/oci/console.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstring>

namespace keelson::cri::shim::oci {

Result<ConsoleSocket> ConsoleSocket::open(const std::string& folder, const std::string& name) {
  ConsoleSocket console;
  KEELSON_TRY(console.folder_, open_file(folder, O_PATH | O_DIRECTORY));
  console.name_ = name;
  // By the folder's descriptor, as seen from another process of the node.
  console.path_ = fmt::format("/proc/{}/fd/{}/{}", ::getpid(), console.folder_.get(), name);
  console.listener_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (!console.listener_ || console.path_.size() >= sizeof address.sun_path) {
    return fail_errno(console.listener_ ? ENAMETOOLONG : errno, "make a console socket {}", console.path_);
  }
  std::memcpy(address.sun_path, console.path_.c_str(), console.path_.size() + 1);
  ::unlinkat(console.folder_.get(), name.c_str(), 0);
  if (::bind(console.listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 ||
      ::listen(console.listener_.get(), 1) < 0) {
    return fail_errno(errno, "make a console socket {}", console.path_);
  }
  return console;
}

ConsoleSocket::~ConsoleSocket() {
  if (folder_) {
    ::unlinkat(folder_.get(), name_.c_str(), 0);
  }
}

Result<Fd> ConsoleSocket::take() {
  const Fd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  std::array<char, 256> name;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  iovec data{name.data(), name.size()};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  if (!peer || ::recvmsg(peer.get(), &message, MSG_CMSG_CLOEXEC) < 0) {
    return fail(Kind::internal, "the runtime has sent no terminal");
  }
  const auto* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) {
    return fail(Kind::internal, "the runtime has sent something else than a terminal");
  }
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return Fd(fd);
}

}  // namespace keelson::cri::shim::oci
