// SPDX-License-Identifier: Apache-2.0
// Archives by the examples' script, images over HTTP from memory.
#include "tests/support/cluster_images.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/node_fixture.h"
#include "tests/support/registry.h"

namespace keelson::testing {

namespace fs = std::filesystem;

namespace {

std::string test_server() {
  const char* bin = ::getenv("KEELSON_BIN");
  return fs::path(bin != nullptr ? bin : "build/bin").parent_path() / "test/test-server";
}

std::string config_of(const std::string& repository) {
  std::string command;
  if (repository.ends_with("/mysql")) {
    command = R"(,"Cmd":["/server","--port","3306","--fail-after","0","--name","db"])";
  } else if (repository.ends_with("/wordpress")) {
    command = R"(,"Cmd":["/server","--port","80","--fail-after","0","--name","wp"])";
  }
  return R"({"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"])" + command + "}";
}

}  // namespace

void make_images(const std::string& dir) {
  auto made = run({"bash", KEELSON_SOURCE_DIR "/deploy/examples/make-images.sh", test_server(), dir});
  ASSERT_EQ(made.code, 0) << made.error;
}

MirrorRegistry::MirrorRegistry(const std::string& config_dir, const std::vector<std::string>& names)
    : registry_(std::make_unique<TestRegistry>()) {
  std::ifstream file(test_server(), std::ios::binary);
  std::stringstream server;
  server << file.rdbuf();
  EXPECT_GT(server.str().size(), 0U) << test_server() << " is not built";
  auto layer = make_layer(
      {{"server", server.str()}, {"etc/passwd", "root:x:0:0:root:/:/bin/sh\n"}, {"etc/group", "root:x:0:\n"}}, false);
  for (const auto& name : names) {
    auto slash = name.find('/');
    auto colon = name.rfind(':');
    auto registry = name.substr(0, slash);
    auto repository = name.substr(slash + 1, colon - slash - 1);
    registry_->add(repository, name.substr(colon + 1), {.config = config_of("/" + repository), .layers = {layer}});
    fs::create_directories(config_dir + "/" + registry);
    std::ofstream(config_dir + "/" + registry + "/hosts.toml")
        << fmt::format("server = \"http://{0}\"\n\n[host.\"http://{0}\"]\ncapabilities = [\"pull\", \"resolve\"]\n",
                       registry_->address());
  }
}

MirrorRegistry::~MirrorRegistry() = default;

}  // namespace keelson::testing
