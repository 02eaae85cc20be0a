// SPDX-License-Identifier: Apache-2.0
// Which objects a label selector means.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "kube/meta.h"

namespace keelson::kube {

enum class SelectorOperator { in, not_in, exists, does_not_exist };
std::string_view to_string(SelectorOperator op);

/// One term: a key and what its value must be. `values` is empty for exists and does_not_exist.
struct LabelRequirement {
  std::string key;
  SelectorOperator op = SelectorOperator::in;
  std::vector<std::string> values;

  bool operator==(const LabelRequirement&) const = default;
};

/// metav1.LabelSelector: all of match_labels and all of match_expressions must hold. An empty one matches everything.
/// (Where the API tells an absent selector, which matches nothing, from an empty one, the field is a std::optional.)
struct LabelSelector {
  StringMap match_labels;
  std::vector<LabelRequirement> match_expressions;

  bool operator==(const LabelSelector&) const = default;
};

/// As the API server does: not_in and does_not_exist hold where the key is absent.
bool matches(const LabelSelector& selector, const StringMap& labels);

/// Service.spec.selector: every pair must be there. An empty one matches nothing, as for Services.
bool matches_service_selector(const StringMap& selector, const StringMap& labels);

/// kubectl's `-l`: "app=web,tier!=db,env in (a,b),x notin (c),ready,!gone". Spaces are free. Empty text matches all.
/// Kind::invalid names the term that is wrong.
Result<LabelSelector> parse_selector(std::string_view text);

}  // namespace keelson::kube
