// SPDX-License-Identifier: Apache-2.0
// Waits for a signal: the peer runtimes' pause container.
#include <unistd.h>

#include <csignal>
#include <initializer_list>

int main() {
  for (int signal : {SIGINT, SIGTERM}) {
    ::signal(signal, [](int) { ::_exit(0); });
  }
  for (;;) {
    ::pause();
  }
}
