// SPDX-License-Identifier: Apache-2.0
// A cold pull of a large image from a registry on loopback, ours and a peer's in turns, gzip and zstd; and beside them
// what one core needs to uncompress the same blobs and do nothing else.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include <CLI/CLI.hpp>

#include "bench/cri_calls.h"
#include "bench/inflate.h"
#include "bench/machine.h"
#include "bench/report.h"

namespace {

using keelson::bench::Clock;
using keelson::bench::Runtime;
using keelson::bench::Samples;
using keelson::bench::since_ms;

struct Side {
  Runtime* runtime;
  std::string cgroup;
  Samples samples = {};
};

/// The image store and nothing else is on the file system of `home`.
void pull(Side& side, const std::string& home, const std::string& reference, const std::string& kind) {
  keelson::bench::drop_caches();
  const double used = keelson::bench::cgroup_cpu_ms(side.cgroup);
  const auto begin = Clock::now();
  side.runtime->pull(reference);
  side.samples["pull " + kind].push_back(since_ms(begin));
  const int folder = ::open(home.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ::syncfs(folder);
  ::close(folder);
  side.samples["pull " + kind + ", on disk"].push_back(since_ms(begin));
  side.samples["pull " + kind + ", CPU"].push_back(keelson::bench::cgroup_cpu_ms(side.cgroup) - used);
  side.runtime->remove_image(reference);
}

/// The median of all blobs' time, summed.
keelson::bench::Inflated limit(const std::vector<std::string>& paths) {
  keelson::bench::Inflated all;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    const std::string blob(std::istreambuf_iterator<char>(file), {});
    std::vector<double> times;
    double bytes = 0;
    for (int i = 0; i < 3; ++i) {
      const auto one = keelson::bench::inflate(blob);
      times.push_back(one.ms);
      bytes = one.bytes;
    }
    all.ms += keelson::bench::median(times);
    all.bytes += bytes;
  }
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("A cold pull, two runtimes in turns");
  std::string ours;
  std::string theirs;
  std::string home;
  std::string registry;
  std::vector<std::string> gzip;
  std::vector<std::string> zstd;
  int runs = 5;
  app.add_option("--ours", ours, "Our CRI socket")->required();
  app.add_option("--theirs", theirs, "The peer's CRI socket")->required();
  app.add_option("--home", home, "A folder of this run: it names the cgroup, and both stores are on its file system")
      ->required();
  app.add_option("--registry", registry, "Has bench/gzip:1 and bench/zstd:1")->required();
  app.add_option("--gzip", gzip, "The layers of the first")->required();
  app.add_option("--zstd", zstd, "The layers of the second")->required();
  app.add_option("--runs", runs, "Rounds");
  CLI11_PARSE(app, argc, argv);

  const auto cgroup = "/" + std::filesystem::path(home).filename().string();
  Runtime our_runtime("keelson", ours, cgroup, home + "/logs");
  Runtime their_runtime("containerd", theirs, cgroup, home + "/logs");
  Side sides[2] = {{&our_runtime, cgroup + "/ours"}, {&their_runtime, cgroup + "/theirs"}};
  for (int run = 0; run < runs; ++run) {
    for (const char* kind : {"gzip", "zstd"}) {
      for (auto& side : sides) {
        pull(side, home, fmt::format("{}/bench/{}:1", registry, kind), kind);
      }
    }
  }
  keelson::bench::print_table("keelson", sides[0].samples, "containerd", sides[1].samples,
                              {{"pull gzip", 1.0 / 1.5},
                               {"pull gzip, on disk"},
                               {"pull gzip, CPU"},
                               {"pull zstd", 1.0 / 1.5},
                               {"pull zstd, on disk"},
                               {"pull zstd, CPU"}});
  for (const auto& [kind, paths] : {std::pair{"gzip", &gzip}, std::pair{"zstd", &zstd}}) {
    const auto least = limit(*paths);
    fmt::print("limit: one core uncompresses the {} image ({:.0f} MB plain) in {:.0f} ms; ours / limit {:.2f}\n", kind,
               least.bytes / 1e6, least.ms,
               keelson::bench::median(sides[0].samples[fmt::format("pull {}", kind)]) / least.ms);
  }
  return 0;
}
