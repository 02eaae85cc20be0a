// SPDX-License-Identifier: Apache-2.0
#include "kube/resource_names.h"

#include <string>

#include "kube/checks.h"

namespace keelson::kube {

bool is_valid_extended_resource(std::string_view name) {
  Checks checks;
  checks.qualified_name(Path(), "requests." + std::string(name));
  return is_extended_resource(name) && checks.take().empty();
}

}  // namespace keelson::kube
