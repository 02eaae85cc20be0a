// SPDX-License-Identifier: Apache-2.0
// probe_record.h over files that hold the words "started" and "ready".
#include "agent/probe_record.h"

#include <unistd.h>

#include <filesystem>

#include "common/atomic_file.h"
#include "common/fd.h"

namespace keelson::agent {

namespace fs = std::filesystem;

ProbeRecord::ProbeRecord(std::string folder) : folder_(std::move(folder)) {
  if (folder_.empty() || !make_directories(folder_, 0700)) {
    return;
  }
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder_, ignored)) {
    if (auto text = read_file(entry.path()); text && !entry.path().filename().string().starts_with('.')) {
      states_[entry.path().filename()] = {.started = text->find("started") != text->npos,
                                          .ready = text->find("ready") != text->npos};
    }
  }
}

std::optional<ProbeState> ProbeRecord::find(const std::string& id) const {
  auto found = states_.find(id);
  return found == states_.end() ? std::nullopt : std::optional(found->second);
}

Result<> ProbeRecord::keep(const std::string& id, ProbeState state) {
  if (auto [it, added] = states_.try_emplace(id, state); !added) {
    if (it->second == state) {
      return {};
    }
    it->second = state;
  }
  if (folder_.empty()) {
    return {};
  }
  return write_file_atomic(folder_ + "/" + id,
                           std::string(state.started ? "started\n" : "") + (state.ready ? "ready\n" : ""), 0600);
}

void ProbeRecord::forget(const std::string& id) {
  if (states_.erase(id) > 0 && !folder_.empty()) {
    ::unlink((folder_ + "/" + id).c_str());
  }
}

}  // namespace keelson::agent
