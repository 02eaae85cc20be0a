// SPDX-License-Identifier: Apache-2.0
// Matching labels, and kubectl's selector language.
#include "kube/selector.h"

#include <algorithm>
#include <optional>

namespace keelson::kube {

namespace {

bool holds(const LabelRequirement& term, const StringMap& labels) {
  const auto it = labels.find(term.key);
  const bool there = it != labels.end();
  const bool listed = there && std::ranges::find(term.values, it->second) != term.values.end();
  switch (term.op) {
    case SelectorOperator::in:
      return listed;
    case SelectorOperator::not_in:
      return !listed;
    case SelectorOperator::exists:
      return there;
    case SelectorOperator::does_not_exist:
      return !there;
  }
  return false;
}

bool contains(const StringMap& wanted, const StringMap& labels) {
  return std::ranges::all_of(wanted, [&](const auto& pair) {
    const auto it = labels.find(pair.first);
    return it != labels.end() && it->second == pair.second;
  });
}

/// Words and signs of a selector, one after the other.
class Words {
 public:
  explicit Words(std::string_view text) : text_(text) { advance(); }

  std::string_view word() const { return word_; }
  bool ended() const { return word_.empty(); }
  std::string_view next() {
    const std::string_view word = word_;
    advance();
    return word;
  }
  bool skip(std::string_view expected) {
    if (word_ != expected) {
      return false;
    }
    advance();
    return true;
  }

 private:
  void advance() {
    text_.remove_prefix(std::min(text_.find_first_not_of(" \t"), text_.size()));
    size_t length = std::min(text_.find_first_of(" \t,=!()"), text_.size());
    if (length == 0 && !text_.empty()) {
      length = text_.starts_with("==") || text_.starts_with("!=") ? 2 : 1;
    }
    word_ = text_.substr(0, length);
    text_.remove_prefix(length);
  }

  std::string_view text_;
  std::string_view word_;
};

bool is_name(std::string_view word) {
  return !word.empty() && word.find_first_of(",=!()") == std::string_view::npos;
}

/// The list after in and notin: "(a, b)".
std::optional<std::vector<std::string>> parse_values(Words& words) {
  std::vector<std::string> values;
  if (!words.skip("(")) {
    return std::nullopt;
  }
  while (is_name(words.word())) {
    values.emplace_back(words.next());
    if (!words.skip(",")) {
      break;
    }
  }
  return words.skip(")") && !values.empty() ? std::optional(std::move(values)) : std::nullopt;
}

std::optional<LabelRequirement> parse_term(Words& words) {
  const bool gone = words.skip("!");
  if (!is_name(words.word())) {
    return std::nullopt;
  }
  LabelRequirement term;
  term.key = words.next();
  if (gone) {
    term.op = SelectorOperator::does_not_exist;
    return term;
  }
  const bool equal = words.word() == "=" || words.word() == "==";
  if (equal || words.word() == "!=") {
    words.next();
    term.op = equal ? SelectorOperator::in : SelectorOperator::not_in;
    term.values.emplace_back(is_name(words.word()) ? words.next() : std::string_view());
    return term;
  }
  if (words.word() == "in" || words.word() == "notin") {
    term.op = words.next() == "in" ? SelectorOperator::in : SelectorOperator::not_in;
    auto values = parse_values(words);
    if (!values) {
      return std::nullopt;
    }
    term.values = *std::move(values);
    return term;
  }
  term.op = SelectorOperator::exists;
  return term;
}

}  // namespace

bool matches(const LabelSelector& selector, const StringMap& labels) {
  return contains(selector.match_labels, labels) &&
         std::ranges::all_of(selector.match_expressions, [&](const auto& term) { return holds(term, labels); });
}

bool matches_service_selector(const StringMap& selector, const StringMap& labels) {
  return !selector.empty() && contains(selector, labels);
}

Result<LabelSelector> parse_selector(std::string_view text) {
  LabelSelector selector;
  Words words(text);
  while (!words.ended()) {
    auto term = parse_term(words);
    if (!term) {
      return fail(Kind::invalid, "selector \"{}\": term {} is not key, !key, key=value, key!=value or key in (a,b)",
                  text, selector.match_expressions.size() + 1);
    }
    selector.match_expressions.push_back(*std::move(term));
    if (!words.ended() && (!words.skip(",") || words.ended())) {
      return fail(Kind::invalid, "selector \"{}\": expected a comma and a further term after \"{}\"", text,
                  selector.match_expressions.back().key);
    }
  }
  return selector;
}

}  // namespace keelson::kube
