// SPDX-License-Identifier: Apache-2.0
// The other kinds a node reads: ConfigMap, Secret, RuntimeClass; and those with a header of their own.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kube/endpoint_slice.h"
#include "kube/meta.h"
#include "kube/node.h"
#include "kube/quantity.h"
#include "kube/service.h"

namespace keelson::kube {

/// No key is in both maps of a valid one. binary_data holds the bytes, not their base64.
struct ConfigMap {
  ObjectMeta metadata;
  std::optional<bool> immutable;
  StringMap data;
  StringMap binary_data;
  bool operator==(const ConfigMap&) const = default;
};

/// `data` holds the bytes, with stringData already merged over it. Never print, log or put into an error what is in it.
struct Secret {
  ObjectMeta metadata;
  std::optional<bool> immutable;
  StringMap data;
  std::string type = "Opaque";  ///< "kubernetes.io/dockerconfigjson" ...
  bool operator==(const Secret&) const = default;
};

/// node.k8s.io/v1: by which of a runtime's handlers the pods that name it are run. It has no namespace. What it says of
/// scheduling is not read.
struct RuntimeClass {
  ObjectMeta metadata;
  std::string handler;
  ResourceList overhead;  ///< podFixed. A pod of the API has it already, by admission.
  bool operator==(const RuntimeClass&) const = default;
};

/// What the API server fills in, in place: the namespace "default", a Secret's type; quantities are rounded up to
/// thousandths. Idempotent.
void default_config_map(ConfigMap& config_map);
void default_secret(Secret& secret);
void default_runtime_class(RuntimeClass& runtime_class);

}  // namespace keelson::kube
