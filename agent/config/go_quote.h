// SPDX-License-Identifier: Apache-2.0
// Text in quotes, as files of the downward API have it.
#pragma once

#include <string>
#include <string_view>

namespace keelson::agent {

/// As Go's strconv.Quote: what is not printable is escaped (\n, \x07, \u00ad, \U000e0001), as are bytes that are no
/// UTF-8. Of other characters than spaces, controls, marks of format and private ones all count as printable; Go knows
/// beside which are not assigned yet.
std::string go_quoted(std::string_view text);

}  // namespace keelson::agent
