// SPDX-License-Identifier: Apache-2.0
// What an API server does to a Pod when it is made, changed or deleted (kubernetes pkg/registry/core/pod/strategy.go),
// as far as a node can see it. For the server and for the users who change the cluster.
#pragma once

#include <optional>
#include <string>

#include "common/clock.h"
#include "kube/pod.h"
#include "tests/simulation/object_store.h"

namespace keelson::simulation {

/// Stores it with a uid, generation 1 and phase Pending. Null: there is one of that name.
Object create_pod(ObjectStore& store, WallTime now, json::object pod);
/// The next generation of its spec and metadata.
void change_pod(ObjectStore& store, const std::string& key, const std::function<void(json::object&)>& change);
/// A graceful deletion begins, is cut short, or ends: with no grace left and no finalizer the object goes. `grace` not
/// given: the spec's.
void delete_pod(ObjectStore& store, WallTime now, const std::string& key, std::optional<int64_t> grace);
/// Takes all finalizers away; what only waited for that goes.
void finish_pod(ObjectStore& store, const std::string& key);

kube::Pod typed_pod(const json::object& pod);

}  // namespace keelson::simulation
