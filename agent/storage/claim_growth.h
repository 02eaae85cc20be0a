// SPDX-License-Identifier: Apache-2.0
// How far a claim's growth is, and how a node tells of its own part: a controller has made the volume larger, and the
// file system on it follows here (kubelet pkg/volume/util/resize_util.go, NodeExpander; KEP-1790). Pure.
//
//   allocatedResourceStatuses["storage"]
//     NodeResizePending -> NodeResizeInProgress -> none, with the new capacity
//                                               -> the same, with the condition NodeResizeError: tried again
//                                               -> NodeResizeInfeasible: the controller's turn
//
// A controller that writes no such status is an older one: then the capacity alone counts.
#pragma once

#include <string>

#include "common/clock.h"
#include "kube/persistent_volume.h"

namespace keelson::storage {

/// How it went to make a volume larger.
struct Growing {
  enum class End {
    done,
    unsupported,  ///< its driver does not do that
    in_use,       ///< not while it is mounted: it is not tried again before it was given back
    infeasible,   ///< never as it is
    failed,       ///< and nothing goes on
    unknown,      ///< it may still go on
  };
  End end = End::done;
  std::string why;  ///< unless done
};

/// Of a list of resources; zero where it says nothing.
kube::Quantity storage_in(const kube::ResourceList& resources);

/// What is to be done now.
struct ClaimGrowth {
  kube::Quantity size;    ///< that the volume is to have
  bool wanted = false;    ///< this node is to make the file system larger
  bool recorded = false;  ///< the claim has that capacity already: another node was quicker, and nothing is written
  bool told = false;      ///< its status says how far it is
};
/// `volume_size` is the PersistentVolume's capacity, which is more than this node knows the volume to have.
ClaimGrowth growth_of(const kube::PersistentVolumeClaim& claim, const kube::Quantity& volume_size);

/// Strategic merge patches of a claim's status. The first two hold for this version of the claim alone (409 of a newer
/// one).
std::string growing_patch(const kube::PersistentVolumeClaim& claim);
std::string grown_patch(const kube::PersistentVolumeClaim& claim, const kube::Quantity& size);
/// `infeasible`: it is not tried again before the controller says so. Empty: the claim says all that already.
std::string not_grown_patch(const kube::PersistentVolumeClaim& claim, bool infeasible, const std::string& why,
                            WallTime now);

}  // namespace keelson::storage
