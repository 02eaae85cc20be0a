// SPDX-License-Identifier: Apache-2.0
// Where Services and EndpointSlices come from, as changes of what was told before.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/loop.h"
#include "dataplane/translate/translator.h"

namespace keelson::network {

/// One step of a source: what changed since the last one.
struct ObjectBatch {
  dataplane::ObjectChange objects;
  /// All that the source holds has been told once. Before that services that are missing are not gone, only not yet
  /// told: nothing may be taken away for them. Once true it stays true.
  bool synced = false;
};

/// Belongs to one loop.
class ObjectSource {
 public:
  virtual ~ObjectSource() = default;
  /// Hands batches to `take`, in order, on the loop, until cancelled. What fails is logged and tried again; what was
  /// told stays as it is meanwhile.
  virtual Task<> run(std::function<void(ObjectBatch)> take) = 0;
};

/// The Services and EndpointSlices of a folder of manifests (kube/folder): a bad document keeps its last good version,
/// and is logged with file, line and field.
std::unique_ptr<ObjectSource> folder_source(Loop& loop, std::string path);

}  // namespace keelson::network
