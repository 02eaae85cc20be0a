// SPDX-License-Identifier: Apache-2.0
// network.h.
#include "cri/runtime/network.h"

namespace keelson::cri {

Network::Network(std::string conf_dir, std::vector<std::string> bin_dirs, std::string cache_dir,
                 std::chrono::seconds timeout)
    : conf_dir_(std::move(conf_dir)),
      bin_dirs_(std::move(bin_dirs)),
      cache_dir_(std::move(cache_dir)),
      timeout_(timeout) {}

Result<Network::Attachment> Network::attach(const SandboxRecord& record) {
  return fail(Kind::unsupported, "sandbox {}: pod networks are not built; use the node's network", record.id());
}

Result<> Network::detach(const SandboxRecord&) {
  return {};
}

Result<> Network::ready() {
  return fail(Kind::unsupported, "pod networks are not built");
}

}  // namespace keelson::cri
