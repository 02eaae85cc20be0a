// SPDX-License-Identifier: Apache-2.0
// One object of a kind that is read from an API server, or sent to it, as a whole (the kind's fields_*.h before it).
#pragma once

#include <string>
#include <string_view>

#include "common/result.h"
#include "kube/reader.h"
#include "kube/writer.h"

namespace keelson::kube {

/// A JSON object of one kind, as an API server sends it.
template <class T>
Result<T> decode_one(std::string_view text, std::string_view kind) {
  const Tree tree = read_json(text);
  if (tree.error) {
    return fail(Kind::invalid, "expected a {}: {}", kind, tree.error->text);
  }
  const Value* own = tree.root.find("kind");
  if (tree.root.type != Value::Type::map || own == nullptr || own->text != kind) {
    return fail(Kind::invalid, "expected a {}, got {}", kind,
                own != nullptr ? "a " + own->text : std::string(type_name(tree.root.type)));
  }
  T object;
  const Path root;  // the reader keeps a reference
  Findings findings;
  {
    Reader reader(tree.root, root, findings);
    reader.ignored({"apiVersion", "kind"});
    fields(reader, object);
  }
  if (!findings.errors.empty()) {
    return fail(Kind::invalid, "{}: {}: {}", kind, findings.errors[0].path, findings.errors[0].text);
  }
  return object;
}

template <class T>
std::string encode_one(const T& object, std::string api_version, std::string kind) {
  Writer writer;
  writer.always("apiVersion", api_version);
  writer.always("kind", kind);
  fields(writer, object);
  return print_json(writer.take(), false);
}

}  // namespace keelson::kube
