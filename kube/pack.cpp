// SPDX-License-Identifier: Apache-2.0
// Two more visitors of fields() (see reader.h): each field in its order, numbers in as many bytes as they need (seven
// bits in each), texts and lists behind their size.
#include "kube/pack.h"

#include <initializer_list>

#include "kube/fields_objects.h"

namespace keelson::kube {

namespace {

class Packer {
 public:
  template <class T>
  void operator()(std::string_view, const T& field) {
    put(field);
  }
  template <class T>
  void always(std::string_view, const T& field) {
    put(field);
  }
  void names(std::string_view, std::string_view, const std::vector<std::string>& field) { put(field); }
  template <class Fields>
  void object(std::string_view, Fields fields_of_it) {
    fields_of_it(*this);
  }
  void ignored(std::initializer_list<std::string_view>) {}

  std::string take() {
    bytes_.shrink_to_fit();
    return std::move(bytes_);
  }

 private:
  void put_number(uint64_t number) {
    for (; number >= 0x80; number >>= 7) {
      bytes_.push_back(static_cast<char>(number | 0x80));
    }
    bytes_.push_back(static_cast<char>(number));
  }
  void put(bool field) { put_number(field); }
  void put(int32_t field) { put(int64_t{field}); }
  // The sign comes last, so that small negative numbers are small, too.
  void put(int64_t field) { put_number(static_cast<uint64_t>(field) << 1 ^ static_cast<uint64_t>(field >> 63)); }
  void put(const std::string& field) {
    put_number(field.size());
    bytes_ += field;
  }
  void put(const WallTime& field) { put(int64_t{field.time_since_epoch().count()}); }
  void put(const IntOrString& field) {
    put(field.is_number());
    field.is_number() ? put(field.number()) : put(field.name());
  }
  template <class E>
    requires std::is_enum_v<E>
  void put(E field) {
    put_number(static_cast<uint64_t>(field));
  }
  template <class T>
  void put(const std::vector<T>& field) {
    put_number(field.size());
    for (const T& element : field) {
      put(element);
    }
  }
  void put(const StringMap& field) {
    put_number(field.size());
    for (const auto& [key, value] : field) {
      put(key);
      put(value);
    }
  }
  template <class T>
  void put(const std::optional<T>& field) {
    put(field.has_value());
    if (field) {
      put(*field);
    }
  }
  template <class T>
    requires std::is_class_v<T>
  void put(const T& field) {
    fields(*this, field);
  }

  std::string bytes_;
};

class Unpacker {
 public:
  explicit Unpacker(std::string_view bytes) : bytes_(bytes) {}

  template <class T>
  void operator()(std::string_view, T& field) {
    get(field);
  }
  template <class T>
  void always(std::string_view, T& field) {
    get(field);
  }
  void names(std::string_view, std::string_view, std::vector<std::string>& field) { get(field); }
  template <class Fields>
  void object(std::string_view, Fields fields_of_it) {
    fields_of_it(*this);
  }
  void ignored(std::initializer_list<std::string_view>) {}

 private:
  uint64_t get_number() {
    uint64_t number = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes_.front());
      bytes_.remove_prefix(1);
      number |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) {
        return number;
      }
    }
  }
  template <class T>
  T got() {
    T value{};
    get(value);
    return value;
  }
  void get(bool& field) { field = get_number() != 0; }
  void get(int32_t& field) { field = static_cast<int32_t>(got<int64_t>()); }
  void get(int64_t& field) {
    const uint64_t number = get_number();
    field = static_cast<int64_t>(number >> 1 ^ -(number & 1));
  }
  void get(std::string& field) {
    const size_t size = get_number();
    field = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
  }
  void get(WallTime& field) { field = WallTime(WallTime::duration(got<int64_t>())); }
  void get(IntOrString& field) {
    if (got<bool>()) {
      field.value = got<int32_t>();
    } else {
      field.value = got<std::string>();
    }
  }
  template <class E>
    requires std::is_enum_v<E>
  void get(E& field) {
    field = static_cast<E>(get_number());
  }
  template <class T>
  void get(std::vector<T>& field) {
    field.resize(get_number());
    for (T& element : field) {
      get(element);
    }
  }
  void get(StringMap& field) {
    for (auto left = get_number(); left > 0; left--) {
      auto key = got<std::string>();
      field[std::move(key)] = got<std::string>();
    }
  }
  template <class T>
  void get(std::optional<T>& field) {
    if (got<bool>()) {
      get(field.emplace());
    }
  }
  template <class T>
    requires std::is_class_v<T>
  void get(T& field) {
    fields(*this, field);
  }

  std::string_view bytes_;
};

template <class T>
std::string packed(const T& object) {
  Packer packer;
  packer("", object);
  return packer.take();
}

template <class T>
T unpacked(std::string_view bytes) {
  T object;
  Unpacker{bytes}("", object);
  return object;
}

}  // namespace

std::string pack(const Service& service) {
  return packed(service);
}
std::string pack(const EndpointSlice& slice) {
  return packed(slice);
}
Service unpack_service(std::string_view bytes) {
  return unpacked<Service>(bytes);
}
EndpointSlice unpack_endpoint_slice(std::string_view bytes) {
  return unpacked<EndpointSlice>(bytes);
}

}  // namespace keelson::kube
