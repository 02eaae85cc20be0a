// SPDX-License-Identifier: Apache-2.0
// The bytes of shim messages: tagged fields, so that an old shim and a new daemon understand each other.
//
// A message is a run of fields: u16 tag, u32 length, then that many bytes; all little-endian. An integer, enum or bool
// is 8 bytes; a string is itself; a list is its field repeated; a struct is its own message. A reader skips tags that
// it does not know and leaves fields at their defaults that are not there. A tag is never given a new meaning.
//
// A struct takes part by naming its fields once:  template <class V> void visit(V& v) { v(1, id); v(2, args); }
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/result.h"

namespace keelson::cri::shim {

namespace wire_detail {
template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
template <class T>
concept Scalar = std::is_integral_v<T> || std::is_enum_v<T>;
}  // namespace wire_detail

/// Appends fields to a buffer.
class Encoder {
 public:
  template <class T>
  void operator()(uint16_t tag, T& value) {
    if constexpr (wire_detail::IsVector<std::remove_cv_t<T>>::value) {
      for (auto& item : value) {
        (*this)(tag, item);
      }
    } else if constexpr (wire_detail::Scalar<std::remove_cv_t<T>>) {
      auto number = static_cast<uint64_t>(value);
      put(tag, {reinterpret_cast<const char*>(&number), sizeof number});
    } else if constexpr (std::is_same_v<std::remove_cv_t<T>, std::string>) {
      put(tag, value);
    } else {
      Encoder inner;
      value.visit(inner);
      put(tag, inner.bytes_);
    }
  }
  std::string take() { return std::move(bytes_); }

 private:
  void put(uint16_t tag, std::string_view data) {
    auto size = static_cast<uint32_t>(data.size());
    bytes_.append(reinterpret_cast<const char*>(&tag), sizeof tag);
    bytes_.append(reinterpret_cast<const char*>(&size), sizeof size);
    bytes_.append(data);
  }
  std::string bytes_;
};

/// Fills fields from a buffer.
class Decoder {
 public:
  /// Kind::invalid on bytes that are not a run of fields.
  static Result<Decoder> parse(std::string_view bytes) {
    Decoder decoder;
    while (!bytes.empty()) {
      uint16_t tag = 0;
      uint32_t size = 0;
      if (bytes.size() < sizeof tag + sizeof size) {
        return fail(Kind::invalid, "shim message: a field is cut off");
      }
      std::memcpy(&tag, bytes.data(), sizeof tag);
      std::memcpy(&size, bytes.data() + sizeof tag, sizeof size);
      bytes.remove_prefix(sizeof tag + sizeof size);
      if (bytes.size() < size) {
        return fail(Kind::invalid, "shim message: field {} is cut off", tag);
      }
      decoder.fields_.emplace_back(tag, bytes.substr(0, size));
      bytes.remove_prefix(size);
    }
    return decoder;
  }

  template <class T>
  void operator()(uint16_t tag, T& value) {
    for (const auto& [found, data] : fields_) {
      if (found == tag) {
        fill(data, value);
      }
    }
  }
  bool good() const { return good_; }

 private:
  template <class T>
  void fill(std::string_view data, T& value) {
    if constexpr (wire_detail::IsVector<T>::value) {
      fill(data, value.emplace_back());
    } else if constexpr (wire_detail::Scalar<T>) {
      uint64_t number = 0;
      if (data.size() != sizeof number) {
        good_ = false;
        return;
      }
      std::memcpy(&number, data.data(), sizeof number);
      value = static_cast<T>(number);
    } else if constexpr (std::is_same_v<T, std::string>) {
      value.assign(data);
    } else {
      auto inner = parse(data);
      if (!inner) {
        good_ = false;
        return;
      }
      value.visit(*inner);
      good_ = good_ && inner->good_;
    }
  }

  std::vector<std::pair<uint16_t, std::string_view>> fields_;
  bool good_ = true;
};

/// A struct as bytes.
template <class T>
std::string encode(const T& value) {
  Encoder encoder;
  // visit() is one function for both directions; encoding does not write.
  const_cast<T&>(value).visit(encoder);
  return encoder.take();
}

/// Bytes as a struct. Kind::invalid on anything that encode() could not have made, of this or another version.
template <class T>
Result<T> decode(std::string_view bytes) {
  KEELSON_TRY(auto decoder, Decoder::parse(bytes));
  T value{};
  value.visit(decoder);
  if (!decoder.good()) {
    return fail(Kind::invalid, "shim message: a field has the wrong size");
  }
  return value;
}

}  // namespace keelson::cri::shim
