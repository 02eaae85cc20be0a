// SPDX-License-Identifier: Apache-2.0
// YAML into the neutral tree, by yaml-cpp's events; and a file's text into its documents.
#include <fmt/format.h>

#include <sstream>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include "kube/codec.h"
#include "kube/tree_builder.h"
#include "kube/value.h"

namespace keelson::kube {

namespace {

constexpr std::string_view kTagPrefix = "tag:yaml.org,2002:";

/// What a scalar is, by its tag: "?" plain, "!" quoted, or one that was written out. Nothing for a tag we do not know.
std::optional<Value> tagged(const std::string& tag, const std::string& text) {
  if (tag == "?" || tag.empty()) {
    return resolve_plain(text);
  }
  if (tag == "!" || tag == "tag:yaml.org,2002:str") {
    return Value::of_string(text);
  }
  if (!tag.starts_with(kTagPrefix)) {
    return std::nullopt;
  }
  const std::string_view kind = std::string_view(tag).substr(kTagPrefix.size());
  Value value = resolve_plain(text);
  using Type = Value::Type;
  const bool fits = (kind == "int" && value.type == Type::integer) || (kind == "bool" && value.type == Type::boolean) ||
                    (kind == "null" && value.type == Type::null) ||
                    (kind == "float" && (value.type == Type::real || value.type == Type::integer));
  return fits ? std::optional(std::move(value)) : std::nullopt;
}

class Events : public YAML::EventHandler {
 public:
  Events(int first_line, Budget& budget) : first_line_(first_line), tree_(budget) {}

  void OnDocumentStart(const YAML::Mark& mark) override { start_ = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    check(tree_.scalar({}, place(mark), anchor), mark);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    check(tree_.alias(anchor, place(mark)), mark);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    auto value = tagged(tag, text);
    if (!value) {
      throw YAML::ParserException(mark, "a tag that Kubernetes objects have no use for");
    }
    check(tree_.scalar(*std::move(value), place(mark), anchor, tag == "?" && text == "<<"), mark);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    check(tree_.open(Value::Type::list, place(mark), anchor), mark);
  }
  void OnSequenceEnd() override { check(tree_.close(), YAML::Mark::null_mark()); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    check(tree_.open(Value::Type::map, place(mark), anchor), mark);
  }
  void OnMapEnd() override { check(tree_.close(), YAML::Mark::null_mark()); }

  Tree take() { return tree_.take(); }
  const YAML::Mark& start() const { return start_; }

 private:
  TreeBuilder::Mark place(const YAML::Mark& mark) const { return {mark.line + first_line_, mark.column + 1}; }
  void check(bool good, const YAML::Mark& mark) const {
    // The library's own exception is the only way to stop its parser from inside an event.
    if (!good) {
      throw YAML::ParserException(mark, tree_.error());
    }
  }

  int first_line_;
  YAML::Mark start_;
  TreeBuilder tree_;
};

/// Reads what stands between two marks of documents: nothing, or one value.
void read_yaml(const std::string& text, int first_line, Budget& budget, std::vector<Tree>& trees) {
  std::istringstream stream(text);
  try {
    YAML::Parser parser(stream);
    Events events(first_line, budget);
    if (!parser.HandleNextDocument(events)) {
      return;
    }
    // yaml-cpp takes a further value for a further document, and does so for ever with a token that fits nowhere.
    if (Events rest(first_line, budget); parser.HandleNextDocument(rest)) {
      throw YAML::ParserException(rest.start(), "text after the end of the document");
    }
    Tree tree = events.take();
    if (tree.root.type != Value::Type::null) {
      trees.push_back(std::move(tree));
    }
  } catch (const YAML::Exception& error) {
    // Only the library's own sentence: what may follow a colon is text of the document, which may be a Secret.
    const std::string why = error.msg.substr(0, error.msg.find(": "));
    Tree tree;
    const bool known = !error.mark.is_null();
    tree.error = {known ? error.mark.line + first_line : first_line, known ? error.mark.column + 1 : 0,
                  "not valid YAML: " + why};
    trees.push_back(std::move(tree));
  } catch (const std::exception& error) {
    Tree tree;
    tree.error = {first_line, 0, fmt::format("not valid YAML: {}", error.what())};
    trees.push_back(std::move(tree));
  }
}

/// True for a line of "---" or "...": at column 0 they part documents wherever they stand, even inside block scalars.
bool is_mark(std::string_view line, std::string_view mark) {
  return line.starts_with(mark) && (line.size() == 3 || line[3] == ' ' || line[3] == '\t' || line[3] == '\r');
}

bool blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

/// Drops lines in front that are blank, a comment or a directive, counting them.
std::string_view without_preamble(std::string_view text, int& line_number) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (!blank(line) && line[line.find_first_not_of(" \t")] != '#' && line[0] != '%') {
      break;
    }
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    ++line_number;
  }
  return text;
}

/// JSON if it opens with { and then a quoted key or }; anything else is YAML, which may open with { too.
bool looks_like_json(std::string_view text) {
  const size_t open = text.find_first_not_of(" \t\r\n");
  if (open == std::string_view::npos || text[open] != '{') {
    return false;
  }
  const size_t next = text.find_first_not_of(" \t\r\n", open + 1);
  return next != std::string_view::npos && (text[next] == '"' || text[next] == '}');
}

void read_part(std::string_view text, int first_line, Budget& budget, std::vector<Tree>& trees) {
  text = without_preamble(text, first_line);
  if (text.empty()) {
    return;
  }
  if (looks_like_json(text)) {
    trees.push_back(read_json(text, first_line, budget));
    return;
  }
  read_yaml(std::string(text), first_line, budget, trees);
}

}  // namespace

std::vector<Tree> read_trees(std::string_view text) {
  std::vector<Tree> trees;
  Budget budget;
  if (text.starts_with("\xEF\xBB\xBF")) {
    text.remove_prefix(3);
  }
  size_t part = 0;
  int part_line = 1;
  int line = 1;
  for (size_t at = 0; at < text.size() && trees.size() <= kMaxDocumentCount; ++line) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const bool begins = is_mark(text.substr(at, end - at), "---");
    if (begins || is_mark(text.substr(at, end - at), "...")) {
      read_part(text.substr(part, at - part), part_line, budget, trees);
      // What follows the dashes on their own line belongs to the document.
      part = begins ? at + 3 : end;
      part_line = line;
    }
    at = end + 1;
  }
  if (trees.size() <= kMaxDocumentCount) {
    read_part(text.substr(std::min(part, text.size())), part_line, budget, trees);
  }
  return trees;
}

}  // namespace keelson::kube
