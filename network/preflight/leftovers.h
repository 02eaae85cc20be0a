// SPDX-License-Identifier: Apache-2.0
// What the role `network` leaves on a node when its daemon ends, and the end of that.
//
// Programs, tables and links stay pinned so that services go on without a daemon; files so that the next one starts
// where this one ended. Removing the pins detaches the programs: services of this node are not translated any more from
// that moment on, open connections through packets end (those that were translated at connect() go on).
#pragma once

#include <string>
#include <vector>

#include "common/result.h"

namespace keelson::network {

struct Places {
  std::string bpf_dir;               ///< Pins, of this version and others.
  std::vector<std::string> files;    ///< State that the role keeps on disk.
  std::vector<std::string> sockets;  ///< Of the daemon.
};

struct Leftover {
  std::string path;
  std::string what;  ///< "17 maps, 24 links", for people.
};

/// What is there now, in the order in which it is removed. Changes nothing. Kind::permission names the path.
Result<std::vector<Leftover>> find_leftovers(const Places& places);

/// Kind::conflict: a daemon runs with these places, told with what shows it; nothing is to be removed under it.
Result<> check_no_daemon(const Places& places);

/// Takes away what find_leftovers() found: links first, so that no program is without its tables. Absent is success.
/// What others have put into the folder of pins stays, and so does the folder then.
Result<> remove_leftovers(const Places& places, const std::vector<Leftover>& found);

}  // namespace keelson::network
