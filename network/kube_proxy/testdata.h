// SPDX-License-Identifier: Apache-2.0
// The rules of a real kube-proxy in testdata/, read.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "common/fd.h"
#include "network/kube_proxy/ruleset.h"

namespace keelson::network {

inline std::string testdata(const std::string& name) {
  return read_file(std::string(KUBE_PROXY_TESTDATA) + "/" + name).value_or("");
}

inline Ruleset rules_of(const std::string& file) {
  auto text = testdata(file);
  auto rules = file == "nft.json" ? Ruleset::from_nftables(text) : Ruleset::from_iptables(text);
  EXPECT_TRUE(rules) << rules.error().message();
  return *std::move(rules);
}

}  // namespace keelson::network
