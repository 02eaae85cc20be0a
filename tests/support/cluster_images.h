// SPDX-License-Identifier: Apache-2.0
// The images that end-to-end tests run, made of the test server and busybox.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace keelson::testing {

/// Writes the example images into `dir` as docker archives (deploy/examples/make-images.sh). Fails the test if that
/// fails.
void make_images(const std::string& dir);

class TestRegistry;

/// A registry on loopback that has the test server under each of `names` (whole references with tag), and hosts.toml
/// files below `config_dir` that send their registries' pulls to it and nowhere else. Ends with the object.
///
/// What runs without command and arguments: mysql listens on port 3306, wordpress on 80, both healthy for ever; other
/// images name no command.
class MirrorRegistry {
 public:
  MirrorRegistry(const std::string& config_dir, const std::vector<std::string>& names);
  ~MirrorRegistry();
  MirrorRegistry(const MirrorRegistry&) = delete;
  MirrorRegistry& operator=(const MirrorRegistry&) = delete;

 private:
  std::unique_ptr<TestRegistry> registry_;
};

}  // namespace keelson::testing
