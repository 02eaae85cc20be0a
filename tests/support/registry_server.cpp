// SPDX-License-Identifier: Apache-2.0
// The test registry as a program, for scripts: test-registry LIST, until SIGTERM.
//
// A line of LIST is an image: "REPOSITORY TAG LAYER[,LAYER...] CONFIG", where a LAYER is an archive's path, bottom
// first, with "@" and the digest of the plain archive behind it if it is compressed, and CONFIG is the rest of the
// line, the config's "config" object. Prints the address, then "REPOSITORY TAG DIGEST" for each image, then an empty
// line.
#include <fmt/core.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <sstream>

#include "tests/support/registry.h"

namespace {

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: test-registry LIST\n");
    return 2;
  }
  keelson::testing::TestRegistry registry;
  fmt::print("{}\n", registry.address());
  std::ifstream list(argv[1]);
  for (std::string line; std::getline(list, line);) {
    std::istringstream words(line);
    std::string repository, tag, layers;
    keelson::testing::TestRegistry::Image image;
    words >> repository >> tag >> layers;
    std::getline(words >> std::ws, image.config);
    std::istringstream paths(layers);
    for (std::string path; std::getline(paths, path, ',');) {
      const auto digest = path.find("@sha256:");
      image.layers.push_back(read(path.substr(0, digest)));
      image.diff_ids.push_back(digest == std::string::npos ? keelson::testing::digest_of(image.layers.back())
                                                           : path.substr(digest + 1));
      if (image.layers.back().empty()) {
        fmt::print(stderr, "test-registry: {} has no data, needed by {}\n", path, repository);
        return 1;
      }
    }
    fmt::print("{} {} {}\n", repository, tag, registry.add(repository, tag, image));
  }
  fmt::print("\n");
  std::fflush(stdout);
  for (;;) {
    ::pause();
  }
}
