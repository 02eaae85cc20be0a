// SPDX-License-Identifier: Apache-2.0
// The servers behind services: they tell whoever asks who they are, and whom they see.
#pragma once

#include <atomic>
#include <map>
#include <string>
#include <thread>

#include "common/fd.h"

namespace keelson::services {

/// On one thread, in as many network namespaces as there are. A connection is told "<name> <its address as seen here>"
/// when it is accepted, and again for each message; a datagram is answered so, padded to the size that it had.
class Servers {
 public:
  Servers();
  ~Servers();

  /// TCP and UDP on `address`, each of both families' address and port; in the caller's network namespace. Before
  /// run().
  void listen(const std::string& name, const std::string& address, uint16_t port);
  void run();

 private:
  struct Socket {
    std::string name;
    Fd fd;
    enum class Kind { listener, stream, datagram } kind = Kind::stream;
  };
  void add(Socket socket);
  void serve(Socket& socket);

  Fd epoll_;
  Fd stop_;
  std::map<int, Socket> sockets_;
  std::thread thread_;
};

}  // namespace keelson::services
