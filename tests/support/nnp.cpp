// SPDX-License-Identifier: Apache-2.0
// Says who it runs as: set-uid root in an image, it tells whether no_new_privs held.
#include <unistd.h>

#include <cstdio>

int main() {
  std::printf("Effective uid: %u\n", static_cast<unsigned>(::geteuid()));
}
