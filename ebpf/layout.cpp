// SPDX-License-Identifier: Apache-2.0
#include "ebpf/layout.h"

#include <bpf/btf.h>

#include <algorithm>
#include <cstring>

namespace keelson::ebpf {
namespace {

constexpr char kMagic[8] = {'k', 'e', 'e', 'l', 's', 'o', 'n', '1'};

// Before the BTF. Never changes.
struct Head {
  char magic[8];
  uint32_t number;
  uint32_t time_shift;
  uint32_t types_size;
  uint32_t zero;
};

std::string name_of(const btf* types, uint32_t offset) {
  const char* name = btf__name_by_offset(types, offset);
  return name ? name : "";
}

const btf_type* resolve(const btf* types, uint32_t id) {
  int resolved = btf__resolve_type(types, id);
  return resolved < 0 ? nullptr : btf__type_by_id(types, resolved);
}

// One struct (or number) flattened, at any depth.
class Flattener {
 public:
  Flattener(const btf* types, MapForm& map) : types_(types), map_(map) {}

  void add(Form& form, uint32_t id, const std::string& name, uint32_t offset, uint32_t count = 1) {
    const auto* type = resolve(types_, id);
    if (!type) {
      return;
    }
    auto size = static_cast<uint32_t>(std::max<int64_t>(btf__resolve_size(types_, id), 0));
    if (btf_is_array(type)) {
      const auto* array = btf_array(type);
      return add(form, array->type, name, offset, count * array->nelems);
    }
    if (!btf_is_composite(type) || name_of(types_, type->name_off) == "kl_addr") {
      form.fields.push_back({name, offset, size, count});
      return;
    }
    if (name_of(types_, type->name_off) == "bpf_spin_lock") {
      map_.has_lock = true;
      return;
    }
    if (count > 1) {
      BucketForm bucket{{name, offset, size, count}, {.size = size, .fields = {}}};
      add_members(bucket.row, type, 0);
      map_.bucket = std::move(bucket);
      return;
    }
    add_members(form, type, offset);
  }

 private:
  void add_members(Form& form, const btf_type* type, uint32_t offset) {
    const auto* member = btf_members(type);
    for (int i = 0; i < btf_vlen(type); i++) {
      add(form, member[i].type, name_of(types_, member[i].name_off), offset + btf_member_bit_offset(type, i) / 8);
    }
  }
  const btf* types_;
  MapForm& map_;
};

// A map's definition is a struct with pointers to its key and its value.
MapForm form_of_map(const btf* types, const btf_type* definition) {
  MapForm map;
  const auto* member = btf_members(definition);
  for (int i = 0; i < btf_vlen(definition); i++) {
    auto name = name_of(types, member[i].name_off);
    const auto* pointer = resolve(types, member[i].type);
    if ((name != "key" && name != "value") || !pointer || !btf_is_ptr(pointer)) {
      continue;
    }
    Form& form = name == "key" ? map.key : map.value;
    form.size = static_cast<uint32_t>(btf__resolve_size(types, pointer->type));
    Flattener(types, map).add(form, pointer->type, "", 0);
  }
  return map;
}

bool is_little_endian_number(const Field& field) {
  return field.size == 1 || field.size == 2 || field.size == 4 || field.size == 8;
}

constexpr std::byte kMapped[12] = {std::byte{0}, std::byte{0}, std::byte{0},    std::byte{0},
                                   std::byte{0}, std::byte{0}, std::byte{0},    std::byte{0},
                                   std::byte{0}, std::byte{0}, std::byte{0xff}, std::byte{0xff}};

void convert_element(const Field& from, const std::byte* in, const Field& to, std::byte* out) {
  if (from.size == 4 && to.size == 16) {
    std::memcpy(out, kMapped, sizeof kMapped);
    std::memcpy(out + sizeof kMapped, in, 4);
  } else if (from.size == 16 && to.size == 4) {
    std::memcpy(out, in + sizeof kMapped, 4);
  } else {
    std::memcpy(out, in, std::min(from.size, to.size));
  }
}

}  // namespace

const Field* Form::find(const std::string& name) const {
  auto found = std::ranges::find(fields, name, &Field::name);
  return found == fields.end() ? nullptr : &*found;
}

uint64_t read_number(const Form& form, const std::byte* row, const std::string& name) {
  const auto* field = form.find(name);
  uint64_t value = 0;
  if (field && is_little_endian_number(*field)) {
    std::memcpy(&value, row + field->offset, field->size);
  }
  return value;
}

void write_number(const Form& form, std::byte* row, const std::string& name, uint64_t value) {
  const auto* field = form.find(name);
  if (field && is_little_endian_number(*field)) {
    std::memcpy(row + field->offset, &value, field->size);
  }
}

void convert(const Form& from, const std::byte* in, const Form& to, std::byte* out) {
  std::memset(out, 0, to.size);
  for (const auto& field : to.fields) {
    const auto* source = from.find(field.name);
    for (uint32_t i = 0; source && i < std::min(source->count, field.count); i++) {
      convert_element(*source, in + source->offset + i * source->size, field, out + field.offset + i * field.size);
    }
  }
}

Result<Layout> Layout::of(const btf* types, uint32_t number, uint32_t time_shift) {
  Layout layout{number, time_shift, {}};
  int section = btf__find_by_name_kind(types, ".maps", BTF_KIND_DATASEC);
  if (section < 0) {
    return fail(Kind::invalid, "no maps in the type information");
  }
  const auto* maps = btf__type_by_id(types, section);
  const auto* entry = btf_var_secinfos(maps);
  for (int i = 0; i < btf_vlen(maps); i++) {
    const auto* variable = btf__type_by_id(types, entry[i].type);
    const auto* definition = resolve(types, variable->type);
    if (definition && btf_is_struct(definition)) {
      layout.maps[name_of(types, variable->name_off)] = form_of_map(types, definition);
    }
  }
  return layout;
}

std::vector<std::byte> Layout::encode(const btf* types, uint32_t number, uint32_t time_shift) {
  uint32_t size = 0;
  const void* bytes = btf__raw_data(types, &size);
  Head head{{}, number, time_shift, size, 0};
  std::memcpy(head.magic, kMagic, sizeof kMagic);
  std::vector<std::byte> result((sizeof head + size + 7) / 8 * 8);
  std::memcpy(result.data(), &head, sizeof head);
  std::memcpy(result.data() + sizeof head, bytes, size);
  return result;
}

Result<Layout> Layout::decode(std::span<const std::byte> bytes) {
  Head head;
  if (bytes.size() < sizeof head) {
    return fail(Kind::invalid, "a layout of {} bytes", bytes.size());
  }
  std::memcpy(&head, bytes.data(), sizeof head);
  if (std::memcmp(head.magic, kMagic, sizeof kMagic) != 0 || head.types_size > bytes.size() - sizeof head) {
    return fail(Kind::invalid, "not a layout of Keelson's maps");
  }
  btf* types = btf__new(bytes.data() + sizeof head, head.types_size);
  if (!types) {
    return fail(Kind::invalid, "a layout with broken type information");
  }
  auto layout = of(types, head.number, head.time_shift);
  btf__free(types);
  return layout;
}

}  // namespace keelson::ebpf
