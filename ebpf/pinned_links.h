// SPDX-License-Identifier: Apache-2.0
// The links that hold programs on their hooks. They outlive programs and maps, whose successors they are given in one
// step each.
//
// Where the kernel has no tcx a filter of classic tc holds the program (tc_filters.h). It outlives us by itself; in the
// place of a link its program is pinned, as the record that it is there.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/result.h"

namespace keelson::ebpf {

/// A folder on a bpffs with a pin for each link: the name of a hook of sockets ("connect4"), or "link-<ifindex>-" and
/// "ingress", "egress" or "xdp". A plain value.
class PinnedLinks {
 public:
  /// `classic_tc`: filters, though the kernel may have tcx.
  explicit PinnedLinks(std::string folder, bool classic_tc = false)
      : folder_(std::move(folder)), classic_tc_(classic_tc) {}

  struct Hook {
    int target = 0;  ///< ifindex, or descriptor of a cgroup.
    int attach_type = 0;
    uint32_t flags = 0;
  };
  /// Gives the link this program, or makes it, also if what is pinned holds nothing any more.
  Result<> attach(const std::string& name, int program, const Hook& hook) const;
  /// Gives every link the program that `program_of` says for its name; -1: it keeps what it has. Links that hold
  /// nothing any more are taken away.
  Result<> replace(const std::function<int(const std::string& name)>& program_of) const;
  /// Absent is success.
  Result<> detach(const std::string& name) const;
  /// All of them, and the folder.
  Result<> remove() const;
  std::vector<std::string> names() const;
  /// The interface in a link's name; 0: it is none of an interface.
  static int ifindex_of(const std::string& name);
  Result<> make() const;
  const std::string& folder() const { return folder_; }

 private:
  Result<bool> give(const std::string& name, int program) const;
  Result<> set_filter(const std::string& name, int program) const;

  std::string folder_;
  bool classic_tc_;
};

}  // namespace keelson::ebpf
