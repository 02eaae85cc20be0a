// SPDX-License-Identifier: Apache-2.0
// json_tokens.h over Boost.JSON's event parser.
#include "kube/json_tokens.h"

#include <boost/json/basic_parser_impl.hpp>

#include "kube/json_events.h"

namespace keelson::kube {

namespace {

namespace json = boost::json;
using Code = json::error_code;
using Text = json::string_view;
using Type = Value::Type;

class Events : public JsonEvents {
 public:
  explicit Events(TokenFilter filter) : filter_(std::move(filter)) {}

  bool on_object_begin(Code& code) { return open(Type::map, code); }
  bool on_object_end(size_t, Code&) { return close(); }
  bool on_array_begin(Code& code) { return open(Type::list, code); }
  bool on_array_end(size_t, Code&) { return close(); }
  bool on_key_part(Text part, size_t, Code&) { return keep(part); }
  bool on_key(Text part, size_t, Code&) {
    keep(part);
    if (skipped_ == 0) {
      key_ = text_;
      key_size_ = static_cast<uint32_t>(tokens_.bytes.size()) - text_;
      skip_value_ = is_unwanted({tokens_.bytes.data() + key_, key_size_});
    }
    fresh_ = true;
    return true;
  }
  bool on_string_part(Text part, size_t, Code&) { return keep(part); }
  bool on_string(Text part, size_t, Code& code) {
    keep(part);
    fresh_ = true;
    return skips() || text_token(Type::string, code);
  }
  bool on_number_part(Text part, Code&) { return keep(part); }
  bool on_int64(int64_t number, Text, Code& code) {
    fresh_ = true;
    if (skips()) {
      return true;
    }
    Token* token = add(Type::integer, code);
    if (token != nullptr) {
      token->integer = number;
    }
    return token != nullptr;
  }
  bool on_uint64(uint64_t, Text part, Code& code) { return on_double(0, part, code); }
  bool on_double(double, Text part, Code& code) {
    keep(part);
    fresh_ = true;
    return skips() || text_token(Type::real, code);
  }
  bool on_bool(bool flag, Code& code) {
    if (skips()) {
      return true;
    }
    Token* token = add(Type::boolean, code);
    if (token != nullptr) {
      token->boolean = flag;
    }
    return token != nullptr;
  }
  bool on_null(Code& code) { return skips() || add(Type::null, code) != nullptr; }

  const Tokens& tokens() const { return tokens_; }
  void clear() {
    tokens_.list.clear();
    tokens_.bytes.clear();
    open_.clear();
    skipped_ = 0;
    skip_value_ = false;
    fresh_ = true;
  }

 private:
  /// Text comes in parts where it has escapes, or where a piece ends.
  bool keep(Text part) {
    if (skipped_ > 0 || skip_value_) {
      return true;
    }
    if (fresh_) {
      text_ = static_cast<uint32_t>(tokens_.bytes.size());
      fresh_ = false;
    }
    tokens_.bytes.append(part.data(), part.size());
    return true;
  }
  /// A scalar is not wanted; the next value is looked at anew.
  bool skips() { return skipped_ > 0 || std::exchange(skip_value_, false); }

  bool is_unwanted(std::string_view key) const {
    const int below = static_cast<int>(open_.size()) - filter_.object_depth;
    if (below == 2 && key == "managedFields") {
      return key_of_open(1) == "metadata";
    }
    return below == 3 && filter_.keep && key_of_open(1) == "annotations" && key_of_open(2) == "metadata" &&
           !filter_.keep(key);
  }
  std::string_view key_of_open(size_t from_the_top) const {
    return tokens_.key(tokens_.list[open_[open_.size() - from_the_top]]);
  }

  Token* add(Type type, Code& code) {
    if (tokens_.list.size() >= kMaxValueCount || tokens_.bytes.size() > kMaxTextSize) {
      code = json::error::object_too_large;
      return nullptr;
    }
    const bool member = !open_.empty() && tokens_.list[open_.back()].type == Type::map;
    Token& token = tokens_.list.emplace_back();
    token.type = type;
    token.key = member ? key_ : 0;
    token.key_size = member ? key_size_ : 0;
    token.end = static_cast<uint32_t>(tokens_.list.size());
    return &token;
  }
  bool text_token(Type type, Code& code) {
    Token* token = add(type, code);
    if (token == nullptr) {
      return false;
    }
    token->text = text_;
    token->text_size = static_cast<uint32_t>(tokens_.bytes.size()) - text_;
    return true;
  }
  bool open(Type type, Code& code) {
    if (skipped_ > 0 || skip_value_) {
      skip_value_ = false;
      ++skipped_;
      return true;
    }
    const auto before = static_cast<uint32_t>(tokens_.bytes.size());
    if (add(type, code) == nullptr) {
      return false;
    }
    open_.push_back(static_cast<uint32_t>(tokens_.list.size()) - 1);
    if (taken_depth()) {
      bytes_before_ = before;
    }
    return true;
  }
  bool close() {
    if (skipped_ > 0) {
      --skipped_;
      return true;
    }
    const uint32_t at = open_.back();
    tokens_.list[at].end = static_cast<uint32_t>(tokens_.list.size());
    const bool taken = taken_depth();
    open_.pop_back();
    if (taken) {
      filter_.taken(tokens_, at);
      tokens_.list.resize(at);
      tokens_.bytes.resize(bytes_before_);
    }
    return true;
  }
  bool taken_depth() const {
    return filter_.depth != 0 && static_cast<int>(open_.size()) == filter_.depth + 1 &&
           tokens_.key(tokens_.list[open_[1]]) == filter_.member;
  }

  TokenFilter filter_;
  Tokens tokens_;
  std::vector<uint32_t> open_;  // containers that have not ended
  uint32_t text_ = 0;           // where the text begins that is being read
  bool fresh_ = true;           // no part of it has been read
  uint32_t key_ = 0;
  uint32_t key_size_ = 0;
  uint32_t bytes_before_ = 0;  // where those of the object begin that will be taken
  size_t skipped_ = 0;         // containers open within an unwanted value
  bool skip_value_ = false;    // the next value is unwanted
};

}  // namespace

uint32_t Tokens::find(uint32_t map, std::string_view name) const {
  const Token* tokens = list.data();
  for (uint32_t at = map + 1; at < tokens[map].end; at = tokens[at].end) {
    if (key(tokens[at]) == name) {
      return at;
    }
  }
  return 0;
}

struct Tokenizer::Parser {
  explicit Parser(TokenFilter filter) : json(json_options(), std::move(filter)) {}
  json::basic_parser<Events> json;
};

Tokenizer::Tokenizer(TokenFilter filter) : parser_(std::make_unique<Parser>(std::move(filter))) {}
Tokenizer::~Tokenizer() = default;

Result<size_t> Tokenizer::feed(std::string_view piece) {
  Code code;
  const size_t used = parser_->json.write_some(true, piece.data(), piece.size(), code);
  if (code) {
    return fail(Kind::invalid, "not valid JSON: {}", code.message());
  }
  return used;
}

bool Tokenizer::finished() const {
  return parser_->json.done();
}

const Tokens& Tokenizer::tokens() const {
  return parser_->json.handler().tokens();
}

void Tokenizer::restart() {
  parser_->json.reset();
  parser_->json.handler().clear();
}

}  // namespace keelson::kube
