// SPDX-License-Identifier: Apache-2.0
// The runtime's memory: every sandbox and container as a row, written before the thing itself is made.
//
// Order of writing is the crash plan: a record first (complete = false), then the namespaces, links and folders, then
// the record again (complete = true). Whatever has a record and no end is undone at the next start; whatever has none
// was never made.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/result.h"
#include "common/store.h"
#include "cri/proto/record.pb.h"

namespace keelson::cri {

using SandboxRecord = ::keelson::runtime::v1::SandboxRecord;
using ContainerRecord = ::keelson::runtime::v1::ContainerRecord;

/// Reads and writes the rows. Thread-safe; a write takes some 20 microseconds and no fsync.
class Records {
 public:
  /// Opens `<state_dir>/runtime.db`. Kind::conflict: another runtime holds it, or a newer one wrote it.
  static Result<Records> open(const std::string& state_dir);

  /// Inserts or replaces.
  Result<> save(const SandboxRecord& record);
  Result<> save(const ContainerRecord& record);
  /// Absent is success.
  Result<> remove_sandbox(const std::string& id);
  Result<> remove_container(const std::string& id);

  struct All {
    std::vector<SandboxRecord> sandboxes;
    std::vector<ContainerRecord> containers;
  };
  /// Everything. A row that cannot be parsed is Kind::internal and named: better to stop than to lose a pod.
  Result<All> load();

 private:
  explicit Records(std::unique_ptr<Store> store) : store_(std::move(store)) {}
  std::unique_ptr<Store> store_;
};

}  // namespace keelson::cri
