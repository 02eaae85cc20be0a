// SPDX-License-Identifier: Apache-2.0
// Image references as people write them (distribution/reference grammar): "mysql", "ghcr.io/a/b:tag@sha256:...".
#pragma once

#include <string>

#include "common/result.h"

namespace keelson::cri::image {

/// A reference made whole: registry and path always there; without tag and digest the tag is "latest".
struct Reference {
  std::string registry;    ///< "docker.io", "localhost:5000"
  std::string repository;  ///< "library/mysql"
  std::string tag;
  std::string digest;  ///< "sha256:..."

  /// "docker.io/library/mysql"
  std::string name() const { return registry + "/" + repository; }
  /// With ":tag" and "@digest" as far as there.
  std::string text() const;
  /// What to ask the registry for: the digest if there is one, else the tag.
  const std::string& version() const { return digest.empty() ? tag : digest; }
};

/// Kind::invalid: "invalid reference format: ..." (the kubelet's InvalidImageName).
Result<Reference> parse_reference(const std::string& text);

/// Whether `text` is "sha256:" and 64 hexadecimal digits.
bool valid_digest(const std::string& text);

}  // namespace keelson::cri::image
