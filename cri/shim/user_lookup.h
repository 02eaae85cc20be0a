// SPDX-License-Identifier: Apache-2.0
// Users and groups as the container's own /etc/passwd and /etc/group tell them (OCI image config, "User").
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "common/result.h"

namespace keelson::cri::shim {

struct User {
  uid_t uid = 0;
  gid_t gid = 0;
  std::string home = "/";
  std::vector<gid_t> groups;  ///< of which /etc/group makes the user a member
  template <class V>
  void visit(V& v) {
    v(1, uid), v(2, gid), v(3, home), v(4, groups);
  }
};

/// `user` is "", "uid", "name", each with ":gid" or ":group" behind. A number need not be listed; a name must.
/// Reads the two files below `root` ("" for the calling process's own root). Kind::not_found names what is missing
/// where.
Result<User> find_user(const std::string& root, const std::string& user);

}  // namespace keelson::cri::shim
