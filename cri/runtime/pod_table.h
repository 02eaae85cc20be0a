// SPDX-License-Identifier: Apache-2.0
// All sandboxes and containers, by id and by name.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "cri/runtime/sandbox.h"

namespace keelson::cri {

/// A container with the sandbox it is in.
struct Located {
  std::shared_ptr<Sandbox> sandbox;
  std::shared_ptr<Container> container;
};

/// Thread-safe; the lock is held for map operations alone.
class PodTable {
 public:
  /// 64 hexadecimal digits that nobody had before.
  static std::string new_id();

  /// Kind::exists if a sandbox of the same name_namespace_uid_attempt is there; its id is in the text.
  Result<> insert(std::shared_ptr<Sandbox> sandbox);
  /// As insert(), of what was there before this process: two of one name are both better than a node that does not
  /// start.
  void adopt(std::shared_ptr<Sandbox> sandbox);
  void erase_sandbox(const std::string& id);

  /// Kind::exists if the sandbox has a container of the same name and attempt.
  Result<> insert(const std::shared_ptr<Sandbox>& sandbox, std::shared_ptr<Container> container);
  void adopt(const std::shared_ptr<Sandbox>& sandbox, std::shared_ptr<Container> container);
  void erase_container(const std::string& id);

  /// By whole id, or by a prefix that only one has. not_found; invalid if several have the prefix, or if it is empty.
  Result<std::shared_ptr<Sandbox>> sandbox(std::string_view id) const;
  Result<Located> container(std::string_view id) const;

  std::vector<std::shared_ptr<Sandbox>> sandboxes() const;
  std::vector<Located> containers() const;

 private:
  void erase_name(const std::string& name, const std::string& id);

  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Sandbox>, std::less<>> sandboxes_;
  std::map<std::string, Located, std::less<>> containers_;
  std::map<std::string, std::string, std::less<>> names_;  // sandbox or container name -> id
};

}  // namespace keelson::cri
