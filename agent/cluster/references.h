// SPDX-License-Identifier: Apache-2.0
// Which objects of the API a pod refers to. The node asks for no others: the Node authorizer grants no more.
#pragma once

#include <compare>
#include <set>
#include <string>

#include "kube/pod.h"

namespace keelson::agent {

/// One object, or, with an empty name, all of a kind in a namespace. Kinds without namespaces have an empty one.
struct ObjectScope {
  std::string ns;
  std::string name;
  auto operator<=>(const ObjectScope&) const = default;
};

struct References {
  std::set<ObjectScope> config_maps;
  std::set<ObjectScope> secrets;
  std::set<ObjectScope> runtime_classes;
  std::set<ObjectScope> services;  ///< For the environment: those of the namespace, and default/kubernetes.

  void merge(References other);
};

/// By volumes, environment, imagePullSecrets and runtimeClassName. Pure.
References references_of(const kube::Pod& pod);
/// By the environment of one container. Pure.
References environment_of(const kube::Pod& pod, const kube::Container& container);

}  // namespace keelson::agent
