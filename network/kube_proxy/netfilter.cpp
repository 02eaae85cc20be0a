// SPDX-License-Identifier: Apache-2.0
#include "network/kube_proxy/netfilter.h"

#include <unistd.h>

#include "common/fd.h"
#include "common/process.h"

namespace keelson::network {
namespace {

constexpr auto kDeadline = std::chrono::seconds(60);
constexpr size_t kMostOutput = 1 << 28;

Result<std::string> output_of(const std::string& program, std::vector<std::string> arguments) {
  for (const char* folder : {"/usr/sbin/", "/sbin/", "/usr/local/sbin/", "/usr/bin/"}) {
    auto path = folder + program;
    if (access(path.c_str(), X_OK) != 0) {
      continue;
    }
    arguments.insert(arguments.begin(), path);
    KEELSON_TRY(auto done, run_command({.args = std::move(arguments),
                                        .env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
                                        .input = "",
                                        .deadline = kDeadline,
                                        .max_output = kMostOutput}));
    if (done.exit_code != 0) {
      return fail(Kind::unavailable, "{}: {}", path, done.error.substr(0, done.error.find('\n')));
    }
    return done.out;
  }
  return fail(Kind::unsupported, "{} is not installed", program);
}

}  // namespace

Result<std::string> save_iptables(dataplane::Family family, IptablesBackend backend) {
  const bool v4 = family == dataplane::Family::ipv4;
  // To ask the old backend for a table would make it.
  if (backend == IptablesBackend::legacy) {
    const auto names = read_file(v4 ? "/proc/net/ip_tables_names" : "/proc/net/ip6_tables_names");
    if (!names || names->empty()) {
      return fail(Kind::not_found, "no legacy tables");
    }
  }
  return output_of(
      fmt::format("{}-{}-save", v4 ? "iptables" : "ip6tables", backend == IptablesBackend::nft ? "nft" : "legacy"), {});
}

Result<std::string> run_nft(std::vector<std::string> arguments) {
  return output_of("nft", std::move(arguments));
}

}  // namespace keelson::network
