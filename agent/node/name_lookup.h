// SPDX-License-Identifier: Apache-2.0
// What DNS and /etc/hosts say of a name, without waiting for who does not answer.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/loop.h"

namespace keelson::agent {

/// Belongs to one loop. Each look is on a thread of its own, one at a time; a resolver that hangs holds up neither who
/// asks nor the object's end.
class NameLookup {
 public:
  NameLookup(Loop& loop, std::string name);

  /// Asks anew, unless an earlier question is not answered yet, and waits a second for it. Until there is an answer,
  /// the last one counts; none: empty.
  Task<std::vector<std::string>> addresses();

 private:
  struct Answer;
  Loop& loop_;
  const std::string name_;
  std::shared_ptr<Answer> answer_;
};

}  // namespace keelson::agent
