// SPDX-License-Identifier: Apache-2.0
// One CDI spec: a file in JSON or YAML.
#pragma once

#include <map>
#include <string>

#include "cri/runtime/cdi.h"

namespace keelson::cri::cdi {

struct Spec {
  std::string kind;  ///< "vendor.com/class"
  Edits edits;       ///< With any of its devices, once.
  std::map<std::string, Edits> devices;
};

/// Kind::invalid names the field; a field that is not known is an error, for it may be what confines a container.
Result<Spec> parse_spec(const std::string& text);

/// "vendor.com/class=name", taken apart.
struct DeviceName {
  std::string kind;
  std::string device;
};
Result<DeviceName> parse_device_name(const std::string& text);

}  // namespace keelson::cri::cdi
