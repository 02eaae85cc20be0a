// SPDX-License-Identifier: Apache-2.0
// keelson-cni: a CNI plugin (see cni/plugin.h). With --list FILE it prints the addresses that a lease file holds.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cni/ipam.h"
#include "cni/plugin.h"
#include "common/fd.h"

namespace {

int list_leases(const char* path) {
  auto boot = keelson::cni::read_boot_id();
  if (!boot) {
    std::fprintf(stderr, "keelson-cni: %s\n", boot.error().message().c_str());
    return 1;
  }
  auto leases = keelson::cni::LeaseStore({.path = path, .boot_id = *boot}).list();
  if (!leases) {
    std::fprintf(stderr, "keelson-cni: %s\n", leases.error().message().c_str());
    return 1;
  }
  for (const auto& lease : *leases) {
    std::printf("%s %s %s\n", lease.address.c_str(), lease.container_id.c_str(), lease.interface.c_str());
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "--list") == 0) {
    return list_leases(argv[2]);
  }
  keelson::cni::Invocation invocation;
  for (const char* name : {"CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_PATH"}) {
    if (const char* value = std::getenv(name)) {
      invocation.environment[name] = value;
    }
  }
  if (!invocation.environment.contains("CNI_COMMAND")) {
    std::fputs(
        "keelson-cni: a CNI plugin, run by a container runtime (CNI_COMMAND is not set)\n"
        "usage: keelson-cni --list LEASE_FILE\n",
        stderr);
    return 2;
  }
  invocation.asker_lives = [asker = ::getppid()] { return ::getppid() == asker; };
  auto input = keelson::read_all(STDIN_FILENO, 2 << 20);
  invocation.input = input ? *input : "";
  auto answer = keelson::cni::run_plugin(invocation);
  std::fputs(answer.output.c_str(), stdout);
  return answer.exit_code;
}
