// SPDX-License-Identifier: Apache-2.0
// console.h: recvmsg(2).
#include "cri/shim/oci/console.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstring>

#include "cri/shim/descriptors.h"

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
  std::vector<Fd> sent;
  if (!peer || receive_with(peer.get(), name, sent) < 0) {
    return fail(Kind::internal, "the runtime has sent no terminal");
  }
  if (sent.empty()) {
    return fail(Kind::internal, "the runtime has sent something else than a terminal");
  }
  return std::move(sent.front());
}

}  // namespace keelson::cri::shim::oci
