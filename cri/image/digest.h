// SPDX-License-Identifier: Apache-2.0
// SHA-256 of what passes by.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/result.h"

struct evp_md_ctx_st;

namespace keelson::cri::image {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(std::string_view data);
  /// "sha256:<hex>" of all so far; update() must not follow.
  std::string finish();

 private:
  evp_md_ctx_st* context_;
};

/// "sha256:<hex>" of `data`.
std::string sha256_of(std::string_view data);

}  // namespace keelson::cri::image
