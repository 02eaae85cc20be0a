// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/arguments.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

namespace keelson::cli {
namespace {

/// A flag of this verb or of one below it that takes no value.
bool is_switch(const CLI::App& app, const std::string& name) {
  const auto* option = app.get_option_no_throw(name);
  return (option && option->get_items_expected_max() == 0) ||
         std::ranges::any_of(app.get_subcommands([](const CLI::App*) { return true; }),
                             [&](const CLI::App* verb) { return is_switch(*verb, name); });
}

}  // namespace

Result<std::vector<std::string>> arguments(std::span<const char* const> words, const CLI::App& app) {
  std::vector<std::string> result;
  bool ended = false;
  for (std::string_view word : words) {
    ended = ended || word == "--";
    bool is_long = word.size() > 3 && word.starts_with("--") && word.find('=') == word.size() - 1;
    bool is_short =
        word.size() > 2 && word[0] == '-' && std::isalpha(static_cast<unsigned char>(word[1])) != 0 && word[2] == '=';
    if (ended || !(is_long || is_short)) {
      result.emplace_back(word);
      continue;
    }
    std::string name(word.substr(0, word.find('=')));
    if (is_switch(app, name)) {
      return fail(Kind::invalid, "{}: true or false must stand behind '='", word);
    }
    result.push_back(std::move(name));
    result.emplace_back(word.substr(word.find('=') + 1));
  }
  return result;
}

void parse(CLI::App& app, std::vector<std::string> arguments) {
  std::ranges::reverse(arguments);  // as CLI11 wants them
  app.parse(std::move(arguments));
}

}  // namespace keelson::cli
