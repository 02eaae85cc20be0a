// SPDX-License-Identifier: Apache-2.0
// Maps of the tables' shape, of the test's own, and what a program would read in them; and the same from a model.
#pragma once

#include <array>
#include <map>
#include <set>
#include <string>

#include "common/fd.h"
#include "dataplane/claims.h"
#include "ebpf/tables.h"

namespace keelson::fuzz {

/// What a sender gets at a frontend: its rule as text, and the places where a flow may go.
struct Answer {
  std::string rule;
  std::set<std::pair<dataplane::Address, uint16_t>> places;
  bool operator==(const Answer&) const = default;
  std::string to_string() const;
};
using Answers = std::map<dataplane::FrontendKey, std::array<Answer, dataplane::kFromCount>>;

/// Of two services that claim a frontend the first by name has it.
Answers answers_of(const dataplane::Model& model);

class TableFiles {
 public:
  TableFiles();
  const ebpf::TableMaps& maps() const { return maps_; }
  /// All that is in them.
  Answers answers() const;

 private:
  Answer answer(const kl_frontend& frontend, size_t from) const;

  Fd frontends_, services_, slots_, backends_, ranges_;
  ebpf::TableMaps maps_;
};

}  // namespace keelson::fuzz
