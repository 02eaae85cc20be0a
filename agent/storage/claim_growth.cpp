// SPDX-License-Identifier: Apache-2.0
#include "agent/storage/claim_growth.h"

#include <algorithm>
#include <array>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace keelson::storage {

namespace json = boost::json;

namespace {

constexpr const char* kStorage = "storage";
constexpr const char* kNotNeeded = "volume.kubernetes.io/node-expansion-not-required";
constexpr const char* kError = "NodeResizeError";
constexpr std::array kConditions = {"FileSystemResizePending", "Resizing", "ControllerResizeError", kError};

/// How far it is; empty: it does not grow, or by an older controller.
std::string status_of(const kube::PersistentVolumeClaim& claim) {
  const auto found = claim.allocated_statuses.find(kStorage);
  return found != claim.allocated_statuses.end() ? found->second : std::string();
}

bool has_error(const kube::PersistentVolumeClaim& claim) {
  return std::ranges::any_of(claim.conditions, [](const kube::ClaimCondition& condition) {
    return condition.type == kError && condition.status == "True";
  });
}

json::object at_version(const kube::PersistentVolumeClaim& claim, json::object status) {
  return {{"metadata", {{"resourceVersion", claim.metadata.resource_version}}}, {"status", std::move(status)}};
}

}  // namespace

kube::Quantity storage_in(const kube::ResourceList& resources) {
  const auto found = resources.find(kStorage);
  return found != resources.end() ? found->second : kube::Quantity();
}

ClaimGrowth growth_of(const kube::PersistentVolumeClaim& claim, const kube::Quantity& volume_size) {
  const auto status = status_of(claim);
  const auto allocated = storage_in(claim.allocated);
  ClaimGrowth growth{.size = allocated.zero() ? volume_size : allocated};
  growth.told = !status.empty() || !claim.allocated.empty();
  growth.recorded = storage_in(claim.capacity) >= growth.size && status.empty();
  if (!growth.told) {
    growth.wanted = true;
  } else if (growth.recorded) {
    // Of a volume of many nodes, each has a file system of its own to look after, unless the driver says no.
    growth.wanted =
        std::ranges::find(claim.access_modes, kube::AccessMode::read_write_many) != claim.access_modes.end() &&
        !claim.metadata.annotations.contains(kNotNeeded);
  } else {
    growth.wanted = status == "NodeResizePending" || status == "NodeResizeInProgress";
  }
  return growth;
}

std::string growing_patch(const kube::PersistentVolumeClaim& claim) {
  return json::serialize(at_version(claim, {{"allocatedResourceStatuses", {{kStorage, "NodeResizeInProgress"}}}}));
}

std::string grown_patch(const kube::PersistentVolumeClaim& claim, const kube::Quantity& size) {
  json::object status{{"capacity", {{kStorage, size.to_string()}}}};
  if (claim.allocated_statuses.contains(kStorage)) {
    status["allocatedResourceStatuses"] = {{kStorage, nullptr}};
  }
  json::array conditions;
  for (const auto& condition : claim.conditions) {
    if (std::ranges::find(kConditions, condition.type) != kConditions.end()) {
      conditions.push_back(json::object{{"$patch", "delete"}, {"type", condition.type}});
    }
  }
  if (!conditions.empty()) {
    status["conditions"] = std::move(conditions);
  }
  return json::serialize(at_version(claim, std::move(status)));
}

std::string not_grown_patch(const kube::PersistentVolumeClaim& claim, bool infeasible, const std::string& why,
                            WallTime now) {
  json::object status;
  if (infeasible) {
    status["allocatedResourceStatuses"] = {{kStorage, "NodeResizeInfeasible"}};
  }
  if (!has_error(claim)) {
    status["conditions"] = json::array{json::object{{"type", kError},
                                                    {"status", "True"},
                                                    {"lastTransitionTime", format_rfc3339(now)},
                                                    {"message", "failed to expand pvc with " + why}}};
  }
  return status.empty() ? "" : json::serialize(json::object{{"status", std::move(status)}});
}

}  // namespace keelson::storage
