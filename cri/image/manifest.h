// SPDX-License-Identifier: Apache-2.0
// The JSON documents of images: indexes, manifests, configs (OCI image-spec 1.1 and Docker schema 2).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/result.h"

namespace keelson::cri::image {

struct Descriptor {
  std::string media_type;
  std::string digest;
  uint64_t size = 0;
  std::map<std::string, std::string> annotations;
};

/// An image for one platform.
struct Manifest {
  Descriptor config;
  std::vector<Descriptor> layers;  ///< bottom first
};

/// What a container needs of the config.
struct Config {
  std::vector<std::string> entrypoint, command, env, volumes;
  std::string working_dir, user, stop_signal;
  std::map<std::string, std::string> labels;
  std::vector<std::string> diff_ids;  ///< of the uncompressed layers, bottom first
};

/// Either a manifest, or an index of manifests by platform.
struct ManifestOrIndex {
  bool index = false;
  Manifest manifest;
  Descriptor chosen;                ///< of an index: the entry for this machine's platform
  std::vector<Descriptor> entries;  ///< of an index: all
};

/// The platform that images are chosen for: "linux" and GOARCH's name of this machine.
std::string this_architecture();

/// Kind::invalid names the field; not_found if an index has nothing for the platform; unsupported for Docker schema 1.
Result<ManifestOrIndex> parse_manifest(const std::string& text, const std::string& architecture);
Result<Config> parse_config(const std::string& text);

}  // namespace keelson::cri::image
