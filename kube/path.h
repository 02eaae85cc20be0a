// SPDX-License-Identifier: Apache-2.0
// Where in an object we are: "spec.containers[0].ports[1].name".
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace keelson::kube {

/// A step on the way from the root, linked to the one above, made to text only for a message. Steps live on the stack:
/// name each one that a further step is taken from, or take all steps within one expression.
class Path {
 public:
  Path() = default;

  Path operator/(std::string_view child) const { return {this, child, std::nullopt, false}; }
  Path operator[](size_t at) const { return {this, {}, at, false}; }
  /// A key of a map as validation writes it: data[app.conf].
  Path key(std::string_view name) const { return {this, name, std::nullopt, true}; }

  std::string to_string() const;

 private:
  Path(const Path* parent, std::string_view name, std::optional<size_t> index, bool bracketed)
      : parent_(parent), name_(name), index_(index), bracketed_(bracketed) {}

  const Path* parent_ = nullptr;
  std::string_view name_;
  std::optional<size_t> index_;
  bool bracketed_ = false;
};

}  // namespace keelson::kube
