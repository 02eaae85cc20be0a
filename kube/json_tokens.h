// SPDX-License-Identifier: Apache-2.0
// JSON that arrives in pieces, as a flat run of tokens: what decoding at the speed of the wire reads from.
//
// The tree of value.h gives every value a place in the text and costs a heap allocation each; a list of 100,000 objects
// has 5,000,000 values. Here all values of one object lie in two buffers that the next object uses again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "kube/value.h"

namespace keelson::kube {

struct Token {
  Value::Type type = Value::Type::null;
  bool boolean = false;
  uint32_t key = 0;  ///< Where its key begins in the bytes; of a member of a map.
  uint32_t key_size = 0;
  uint32_t text = 0;  ///< Of a string or real.
  uint32_t text_size = 0;
  uint32_t end = 0;  ///< The token after it and all that is in it.
  int64_t integer = 0;
};

/// A value and what is in it, in the order of the text: a container's children follow it, up to its `end`.
struct Tokens {
  std::vector<Token> list;
  std::string bytes;

  std::string_view key(const Token& token) const { return {bytes.data() + token.key, token.key_size}; }
  std::string_view text(const Token& token) const { return {bytes.data() + token.text, token.text_size}; }
  /// The member `name` of the map at `map`; 0: there is none.
  uint32_t find(uint32_t map, std::string_view name) const;
};

/// What of a text becomes tokens.
struct TokenFilter {
  /// Values stand in this many containers: what is in the list `items` of the root is at depth 2. Each value that is
  /// finished at this depth in a member called `member` of the root is handed to `taken` and forgotten; 0: none is.
  int depth = 0;
  std::string_view member;
  std::function<void(const Tokens&, uint32_t root)> taken;
  /// How many containers an API object stands in: its metadata.managedFields are left out, and those of its annotations
  /// that `keep` does not want.
  int object_depth = 0;
  std::function<bool(std::string_view annotation)> keep;
};

/// Parses one JSON value after the other.
class Tokenizer {
 public:
  explicit Tokenizer(TokenFilter filter);
  ~Tokenizer();

  /// Takes from the front of `piece` up to the end of a value; tells how much. Kind::invalid: not JSON, or over the
  /// bounds of codec.h, which hold for one object; the tokenizer is then spent.
  Result<size_t> feed(std::string_view piece);
  /// The value has ended; what was not taken of it is tokens().
  bool finished() const;
  const Tokens& tokens() const;
  /// Forgets the value that has ended; feed() begins with the next.
  void restart();

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace keelson::kube
