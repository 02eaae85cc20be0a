// SPDX-License-Identifier: Apache-2.0
// tree.h: freeze and thaw, by cgroup.freeze of v2 or v1's freezer.
#include <poll.h>

#include <algorithm>

#include "common/cgroup/tree.h"
#include "common/fd.h"

namespace keelson::cgroup {

namespace {

bool is_frozen(const std::string& dir, bool second) {
  const auto text = read_file(dir + (second ? "/cgroup.events" : "/freezer.state")).value_or("");
  return text.find(second ? "frozen 1" : "FROZEN") != std::string::npos;
}

Result<> set_state(const std::string& dir, bool second, bool frozen) {
  return second ? write_value(dir + "/cgroup.freeze", frozen ? "1" : "0")
                : write_value(dir + "/freezer.state", frozen ? "FROZEN" : "THAWED");
}

}  // namespace

Result<> Tree::freeze(const std::string& path, std::chrono::milliseconds limit) const {
  const auto [dir, second] = place("freezer", path);
  if (dir.empty()) {
    return fail(Kind::unsupported, "freeze cgroup {}: this node has no freezer", path);
  }
  const auto deadline = std::chrono::steady_clock::now() + limit;
  for (int pause = 1;; pause = std::min(pause * 2, 50)) {
    // Again and again: v1 forgets about a process that was forked meanwhile.
    KEELSON_DO(set_state(dir, second, true));
    if (is_frozen(dir, second)) {
      return {};
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      KEELSON_DO(thaw(path));
      return fail(Kind::timeout, "cgroup {} has not frozen within {} ms", path, limit.count());
    }
    ::poll(nullptr, 0, pause);
  }
}

Result<> Tree::thaw(const std::string& path) const {
  const auto [dir, second] = place("freezer", path);
  if (dir.empty()) {
    return fail(Kind::unsupported, "thaw cgroup {}: this node has no freezer", path);
  }
  return set_state(dir, second, false);
}

}  // namespace keelson::cgroup
