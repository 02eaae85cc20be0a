// SPDX-License-Identifier: Apache-2.0
// The nouns of CNI (spec 1.1.0): attachments, results, errors.
//
// A *network configuration* names plugins. For each container interface (an *attachment*) a runtime runs every plugin
// of the chain with a verb; ADD yields a *result*. A plugin talks JSON on stdin and stdout, its errors have numbers.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <boost/json/value.hpp>

#include "common/result.h"

namespace keelson::cni {

inline constexpr const char* kNewestVersion = "1.1.0";
/// What we read and write, oldest first.
inline constexpr const char* kVersions[] = {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};

/// Error codes of the spec; the rest of a plugin's own are 100 and up.
enum ErrorCode : int {
  kIncompatibleVersion = 1,
  kUnsupportedField = 2,
  kUnknownContainer = 3,
  kBadEnvironment = 4,
  kIoFailure = 5,
  kDecodeFailure = 6,
  kBadConfig = 7,
  kTryLater = 11,
  kNotAvailable = 50,
  kInternal = 999,
};

struct Interface {
  std::string name;
  std::string mac;
  int mtu = 0;
  std::string sandbox;  ///< netns path; empty on the node's side
};

struct Address {
  std::string address;  ///< "10.1.0.2/32"
  std::string gateway;
  std::optional<int> interface;  ///< index into Outcome::interfaces
};

struct Route {
  std::string destination;
  std::string gateway;
};

/// ADD's result ("Result" of the spec; our Result<T> is another thing).
struct Outcome {
  std::vector<Interface> interfaces;
  std::vector<Address> addresses;
  std::vector<Route> routes;
  boost::json::value dns;
};

/// Reads a result of any version from 0.3.0 on. Kind::invalid names the field.
Result<Outcome> parse_outcome(const boost::json::value& value);
/// Writes it as `version` wants it (ips[].version up to 0.4.0).
boost::json::value format_outcome(const Outcome& outcome, const std::string& version);

/// One interface of one container.
struct Attachment {
  std::string container_id;
  std::string netns;  ///< path; may be empty for DEL
  std::string interface = "eth0";
  std::vector<std::pair<std::string, std::string>> args;  ///< CNI_ARGS, such as K8S_POD_NAME
  boost::json::object capability_args;                    ///< runtimeConfig by capability, such as portMappings
};

/// Whether a network name or container id is one (spec, "[A-Za-z0-9][A-Za-z0-9_.\-]*").
bool valid_name(const std::string& name);
/// Whether an interface name is one: 1 to 15 bytes, no '/', ':' or space, not "." or "..".
bool valid_interface(const std::string& name);

}  // namespace keelson::cni
