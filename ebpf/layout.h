// SPDX-License-Identifier: Apache-2.0
// The form of the rows of pinned maps, as data: so that any version can read what any other, older or newer, has left.
//
// Without it an upgrade would have to know every version before it, and a downgrade those that came after. The
// description is the BTF that the compiler has made of the rows, stored beside the maps (LAYOUT.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/result.h"

struct btf;

namespace keelson::ebpf {

/// A number, an address, or an array of these, by its name in C; the names of the structs around it are left out.
struct Field {
  std::string name;
  uint32_t offset = 0;
  uint32_t size = 0;   ///< Bytes of one element.
  uint32_t count = 1;  ///< Elements.
  bool operator==(const Field&) const = default;
};

/// A key or a value.
struct Form {
  uint32_t size = 0;
  std::vector<Field> fields;
  const Field* find(const std::string& name) const;
  bool operator==(const Form&) const = default;
};

/// A value that is a bucket of rows: `where` tells of the rows, as one field.
struct BucketForm {
  Field where;
  Form row;
  bool operator==(const BucketForm&) const = default;
};

struct MapForm {
  Form key, value;
  std::optional<BucketForm> bucket;
  bool has_lock = false;
  bool operator==(const MapForm&) const = default;
};

/// A number in a row, little-endian; 0 if the form has no such field.
uint64_t read_number(const Form& form, const std::byte* row, const std::string& name);
void write_number(const Form& form, std::byte* row, const std::string& name, uint64_t value);

/// A row in another form. Fields find each other by name; what `to` alone has is 0, what `from` alone has is lost.
/// Numbers get wider or narrower; an IPv4 address of 4 bytes becomes one of 16 (::ffff:a.b.c.d) and back.
void convert(const Form& from, const std::byte* in, const Form& to, std::byte* out);

/// What one build of Keelson has agreed on with its programs.
struct Layout {
  uint32_t number = 0;      ///< KEELSON_LAYOUT: raised when rows keep their form and change their meaning.
  uint32_t time_shift = 0;  ///< KL_TIME_SHIFT.
  std::map<std::string, MapForm> maps;

  /// From the object's type information and its maps.
  static Result<Layout> of(const btf* types, uint32_t number, uint32_t time_shift);
  /// As it is pinned, and back. invalid: not such bytes.
  static std::vector<std::byte> encode(const btf* types, uint32_t number, uint32_t time_shift);
  static Result<Layout> decode(std::span<const std::byte> bytes);

  bool operator==(const Layout&) const = default;
};

}  // namespace keelson::ebpf
