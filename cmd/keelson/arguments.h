// SPDX-License-Identifier: Apache-2.0
// A command line as every Kubernetes program reads it: `--flag=` is an empty value, `-o=json` the value "json". CLI11
// takes the next word in the first case, and "=json" in the second.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "common/result.h"

namespace keelson::cli {

/// The words behind the program's name, with a word of its own for each such value; what stands behind "--" is left as
/// it is. Kind::invalid: `--flag=` of a flag that is true or false.
Result<std::vector<std::string>> arguments(std::span<const char* const> words, const CLI::App& app);

/// Parses them, and runs the callback of the verb. Throws CLI::ParseError as app.parse() does.
void parse(CLI::App& app, std::vector<std::string> arguments);

}  // namespace keelson::cli
