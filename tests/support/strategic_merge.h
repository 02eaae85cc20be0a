// SPDX-License-Identifier: Apache-2.0
// How an API server applies a strategic merge patch to a Pod, a Node or a claim (api-conventions; struct tags of
// core/v1 types.go).
#pragma once

#include <boost/json/object.hpp>

namespace keelson::testing {

/// null takes a member away; objects are merged; conditions, addresses, podIPs, hostIPs and ownerReferences by their
/// merge keys, unless the list holds {"$patch": "replace"}, and without the items that have "$patch": "delete"; all
/// other lists are replaced.
void strategic_merge(boost::json::object& into, const boost::json::object& patch);

}  // namespace keelson::testing
