// SPDX-License-Identifier: Apache-2.0
// Which endpoints serve a port, and who of them takes new flows.
#pragma once

#include <string_view>
#include <vector>

#include "dataplane/translate/translate.h"

namespace keelson::dataplane {

/// An endpoint of one port, as its slice tells it.
struct Candidate {
  Backend backend;
  bool ready = true;
  bool terminating = false;
  const kube::Endpoint* endpoint = nullptr;
};

/// Of all slices of that family: those whose port has this name and protocol, sorted by address and port, each once
/// (ready before terminating).
std::vector<Candidate> candidates(const std::vector<const kube::EndpointSlice*>& slices, Family family,
                                  std::string_view port_name, Protocol protocol, const TranslateOptions& options);

/// Fills backends, cluster and local of `service`. Ready ones take new flows; where there is none, those that terminate
/// and still serve (KEP-1669). `hints`: topology is followed for the cluster's pool (KEP-2433, KEP-4444).
void choose_endpoints(Service& service, const std::vector<Candidate>& all, const TranslateOptions& options, bool hints);

}  // namespace keelson::dataplane
