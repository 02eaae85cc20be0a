// SPDX-License-Identifier: Apache-2.0
// What drivers have been asked to do, on disk before they are: vol_data.json, as the kubelet writes it, beside the
// mount of each pod and of each staged volume. So whatever is killed when, what is to be undone is known.
#pragma once

#include <string>
#include <vector>

#include "common/result.h"

namespace keelson::storage {

/// A volume as it is published for a pod, or as the first pod had it staged for all.
struct CsiRecord {
  std::string driver;
  std::string handle;
  std::string name;        ///< In the path.
  std::string attachment;  ///< The VolumeAttachment; empty: it needs none.
  bool ephemeral = false;
  bool group_given = false;  ///< Its files have been given to the pod's fsGroup.
  bool operator==(const CsiRecord&) const = default;
};

/// In `folder`, which is made.
Result<> write_record(const std::string& folder, const CsiRecord& record);
/// Kind::not_found: there is none; Kind::invalid: it is not readable as one.
Result<CsiRecord> read_record(const std::string& folder);

/// Of all volumes published for this pod. What cannot be listed or read is an error, here and below: nobody may take a
/// volume for one that was never asked for.
Result<std::vector<CsiRecord>> pod_records(const std::string& root, const std::string& uid);

struct PodRecord {
  std::string uid;
  CsiRecord record;
};
/// Of all pods that have a folder.
Result<std::vector<PodRecord>> all_pod_records(const std::string& root);
/// Of all staged volumes.
Result<std::vector<CsiRecord>> device_records(const std::string& root);

}  // namespace keelson::storage
