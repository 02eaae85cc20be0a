// SPDX-License-Identifier: Apache-2.0
// listener.h: bind(2), listen(2).
#include "cri/shim/listener.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

namespace keelson::cri::shim {

namespace {

constexpr const char* kSocketName = "shim.sock";

}  // namespace

Result<Listener> Listener::open(const std::string& run_dir) {
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  KEELSON_TRY(auto folder, open_file(run_dir, O_PATH | O_DIRECTORY));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // By the folder's descriptor, so that a long path fits into sun_path.
  auto path = fmt::format("/proc/self/fd/{}/{}", folder.get(), kSocketName);
  ::unlink(path.c_str());
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (!socket || ::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 ||
      ::listen(socket.get(), 64) < 0) {
    return fail_errno(errno, "serve {}/{}", run_dir, kSocketName);
  }
  return Listener(std::move(socket), std::move(folder));
}

void Listener::close() {
  if (folder_) {
    ::unlinkat(folder_.get(), kSocketName, 0);
    folder_.reset();
    socket_.reset();
  }
}

}  // namespace keelson::cri::shim
