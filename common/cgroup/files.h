// SPDX-License-Identifier: Apache-2.0
// The kernel's files of numbers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace keelson::cgroup {

/// A file of one number; "max", absence and nonsense are 0.
uint64_t number_in(const std::string& path);

/// The number after `key` at the start of a line, in a text of "key number" lines; otherwise 0.
uint64_t value_in(std::string_view text, std::string_view key);

/// `from` less `what`, and no less than 0.
uint64_t less(uint64_t from, uint64_t what);

}  // namespace keelson::cgroup
