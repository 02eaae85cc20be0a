// SPDX-License-Identifier: Apache-2.0
// Text to documents: reads the tree, tells kinds apart, decodes, completes and checks each object, and finds its lines.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <ranges>
#include <tuple>

#include "kube/codec.h"
#include "kube/fields_objects.h"
#include "kube/fields_pod.h"
#include "kube/reader.h"
#include "kube/text.h"
#include "kube/validation.h"
#include "kube/value.h"

namespace keelson::kube {

namespace {

using Type = Value::Type;

/// The 1-based line of the first byte that is not UTF-8; 0 if all is.
int first_bad_line(std::string_view text) {
  int line = 1;
  for (size_t at = 0; at < text.size();) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const size_t length = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
    bool good = length != 0 && at + length <= text.size() && lead != 0;
    for (size_t i = 1; good && i < length; ++i) {
      good = (static_cast<unsigned char>(text[at + i]) & 0xC0) == 0x80;
    }
    const auto second = length > 2 && good ? static_cast<unsigned char>(text[at + 1]) : 0x90U;
    const bool overlong = (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
    const bool surrogate = lead == 0xED && second >= 0xA0;
    if (!good || overlong || surrogate || (lead == 0xF4 && second >= 0x90)) {
      return line;
    }
    line += lead == '\n' ? 1 : 0;
    at += length;
  }
  return 0;
}

std::string text_of(const Value& map, std::string_view key) {
  const Value* value = map.find(key);
  return value != nullptr && value->type == Type::string ? value->text : std::string();
}

/// The visitor's view of a whole object: kind and apiVersion are read apart.
template <class T>
void read_object(const Value& root, const Path& path, T& object, Findings& findings) {
  Reader reader(root, path, findings);
  reader.ignored({"apiVersion", "kind"});
  fields(reader, object);
}

void complete(Pod& pod) {
  default_pod(pod);
}
void complete(ConfigMap& config_map) {
  default_config_map(config_map);
}
void complete(Secret& secret) {
  default_secret(secret);
}
void complete(Service& service) {
  default_service(service);
}
void complete(EndpointSlice& slice) {
  default_endpoint_slice(slice);
}
void complete(Node&) {}
void complete(RuntimeClass& runtime_class) {
  default_runtime_class(runtime_class);
}
FieldErrors check(const Pod& pod) {
  return validate_pod(pod);
}
FieldErrors check(const ConfigMap& config_map) {
  return validate_config_map(config_map);
}
FieldErrors check(const Secret& secret) {
  return validate_secret(secret);
}
FieldErrors check(const Service& service) {
  return validate_service(service);
}

FieldErrors check(const EndpointSlice& slice) {
  return validate_endpoint_slice(slice);
}

FieldErrors check(const Node& node) {
  return validate_node(node);
}

FieldErrors check(const RuntimeClass& runtime_class) {
  return validate_runtime_class(runtime_class);
}

bool has_namespace(std::string_view kind) {
  return kind != "Node" && kind != "RuntimeClass";
}

/// The kinds that a document may be of, by name, and where the API has them.
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kKinds = {
    {{"ConfigMap", "v1"},
     {"EndpointSlice", "discovery.k8s.io/v1"},
     {"Node", "v1"},
     {"Pod", "v1"},
     {"RuntimeClass", "node.k8s.io/v1"},
     {"Secret", "v1"},
     {"Service", "v1"}}};

/// Decodes one object of a known kind into a document.
class ObjectDecoder {
 public:
  ObjectDecoder(const Value& root, std::string prefix, Document& document)
      : root_(root), prefix_(std::move(prefix)), document_(document) {}

  void run() {
    if (document_.kind == "Pod") {
      decode<Pod>();
    } else if (document_.kind == "ConfigMap") {
      decode<ConfigMap>();
    } else if (document_.kind == "Secret") {
      decode<Secret>();
    } else if (document_.kind == "EndpointSlice") {
      decode<EndpointSlice>();
    } else if (document_.kind == "Node") {
      decode<Node>();
    } else if (document_.kind == "RuntimeClass") {
      decode<RuntimeClass>();
    } else {
      decode<Service>();
    }
  }

 private:
  template <class T>
  void decode() {
    T object;
    Findings findings;
    read_object(root_, Path{}, object, findings);
    for (Finding& finding : findings.warnings) {
      document_.warnings.push_back(problem(std::move(finding)));
    }
    for (Finding& finding : findings.errors) {
      document_.errors.push_back(problem(std::move(finding)));
    }
    if (!document_.errors.empty()) {
      return;
    }
    complete(object);
    for (FieldError& error : check(object)) {
      const Place place = locate(root_, error.path);
      document_.errors.push_back(problem({place.line, place.column, std::move(error.path), std::move(error.text)}));
    }
    if (document_.errors.empty()) {
      document_.ns = object.metadata.ns;
      document_.object = std::move(object);
    }
  }
  Problem problem(Finding finding) const {
    std::string path = prefix_;
    if (!prefix_.empty() && !finding.path.empty()) {
      path += '.';
    }
    path += finding.path;
    return {document_.file, finding.line, finding.column, std::move(path), std::move(finding.text)};
  }

  const Value& root_;
  std::string prefix_;
  Document& document_;
};

class FileDecoder {
 public:
  explicit FileDecoder(std::string_view file) : file_(file) {}

  void add_tree(Tree tree) {
    if (tree.error) {
      Document& document = begin(tree.error->line);
      document.errors.push_back({document.file, tree.error->line, tree.error->column, "", std::move(tree.error->text)});
      return;
    }
    const size_t first = documents_.size();
    add_object(tree.root, "");
    if (documents_.size() == first) {
      return;
    }
    for (Remark& remark : tree.warnings) {
      // To the object it stands in: the last one that begins at or before it.
      size_t owner = documents_.size() - 1;
      while (owner > first && documents_[owner].line > remark.line) {
        --owner;
      }
      documents_[owner].warnings.push_back(
          {std::string(file_), remark.line, remark.column, "", std::move(remark.text)});
    }
  }

  void refuse(int line, std::string text) {
    Document& document = begin(line);
    document.errors.push_back({document.file, line, 0, "", std::move(text)});
  }

  std::vector<Document> take() {
    if (documents_.size() > kMaxDocumentCount) {
      const int line = documents_[kMaxDocumentCount].line;
      documents_.clear();
      refuse(line, fmt::format("more than {} objects in one file", kMaxDocumentCount));
    }
    refuse_twins();
    return std::move(documents_);
  }

 private:
  Document& begin(int line) {
    Document& document = documents_.emplace_back();
    document.file = file_;
    document.line = line;
    return document;
  }

  /// `list` is the list that the object stands in: what a PodList holds need not say that it is a v1 Pod.
  void add_object(const Value& root, const std::string& prefix, const Value* list = nullptr) {
    const std::string kind = root.type == Type::map ? text_of(root, "kind") : std::string();
    const Value* items = root.type == Type::map ? root.find("items") : nullptr;
    if (documents_.size() > kMaxDocumentCount) {
      return;
    }
    if (kind.ends_with("List") && items != nullptr && items->type == Type::list && prefix.empty()) {
      for (size_t i = 0; i < items->items.size(); ++i) {
        add_object(items->items[i], fmt::format("items[{}]", i), &root);
      }
      return;
    }
    Document& document = begin(root.line);
    const auto wrong = [&](std::string_view field, std::string text) {
      const Place place = locate(root, field);
      std::string path = prefix + (prefix.empty() || field.empty() ? "" : ".") + std::string(field);
      document.errors.push_back({document.file, place.line, place.column, std::move(path), std::move(text)});
    };
    if (root.type != Type::map) {
      return wrong("", fmt::format("expected an object, got {}", type_name(root.type)));
    }
    document.kind = kind;
    document.api_version = text_of(root, "apiVersion");
    if (const std::string of = list != nullptr ? text_of(*list, "kind") : "List"; kind.empty() && of != "List") {
      document.kind = of.substr(0, of.size() - std::string_view("List").size());
      document.api_version = text_of(*list, "apiVersion");
    }
    if (const Value* metadata = root.find("metadata"); metadata != nullptr && metadata->type == Type::map) {
      document.name = text_of(*metadata, "name");
      document.ns = text_of(*metadata, "namespace");
    }
    if (!has_namespace(document.kind)) {
      document.ns.clear();
    } else if (document.ns.empty()) {
      document.ns = "default";
    }
    if (document.kind.empty() || document.api_version.empty()) {
      return wrong(document.kind.empty() ? "kind" : "apiVersion", "Required value");
    }
    const auto* known = std::ranges::find(kKinds, document.kind, [](const auto& kind) { return kind.first; });
    if (known == kKinds.end()) {
      return wrong("kind",
                   fmt::format("kind {} of {} is not supported by this node; it reads {}", quoted(document.kind),
                               quoted(document.api_version), fmt::join(kKinds | std::views::keys, ", ")));
    }
    if (document.api_version != known->second) {
      return wrong("apiVersion", fmt::format("Unsupported value: {}: supported values: {}",
                                             quoted(document.api_version), quoted(known->second)));
    }
    ObjectDecoder(root, prefix, document).run();
  }

  void refuse_twins() {
    std::map<std::tuple<std::string, std::string, std::string>, int> seen;
    for (Document& document : documents_) {
      if (document.name.empty() || document.kind.empty()) {
        continue;
      }
      const auto [it, fresh] = seen.try_emplace({document.kind, document.ns, document.name}, document.line);
      if (!fresh) {
        document.object.reset();
        document.errors.push_back(
            {document.file, document.line, 0, "metadata.name",
             fmt::format("Duplicate value: {}: {} {}{}{} is already at line {}", quoted(document.name), document.kind,
                         document.ns, document.ns.empty() ? "" : "/", document.name, it->second)});
      }
    }
  }

  std::string_view file_;
  std::vector<Document> documents_;
};

/// Objects of one kind, single or in a list, without defaults or checks.
template <class T>
Result<std::vector<T>> decode_lenient(std::string_view text, std::string_view kind) {
  std::vector<T> objects;
  for (Tree& tree : read_trees(text)) {
    if (tree.error) {
      return fail(Kind::invalid, "line {}: {}", tree.error->line, tree.error->text);
    }
    const Value* items = tree.root.find("items");
    std::vector<Value> single;
    if (items == nullptr) {
      single.push_back(std::move(tree.root));
    }
    for (const Value& root : items != nullptr ? items->items : single) {
      if (const std::string other = text_of(root, "kind");
          root.type != Type::map || (!other.empty() && other != kind)) {
        return fail(Kind::invalid, "expected {}, got {}", kind, other.empty() ? type_name(root.type) : other);
      }
      Findings findings;
      read_object(root, Path{}, objects.emplace_back(), findings);
      if (!findings.errors.empty()) {
        return fail(Kind::invalid, "{}: {}", findings.errors[0].path, findings.errors[0].text);
      }
    }
  }
  return objects;
}

}  // namespace

std::string Problem::message() const {
  std::string where = line > 0 ? fmt::format("{}:{}: ", file, line) : fmt::format("{}: ", file);
  return where + (path.empty() ? "" : path + ": ") + text;
}

std::vector<Document> decode_documents(std::string_view text, std::string_view file_name) {
  FileDecoder decoder(file_name);
  if (text.size() > kMaxTextSize) {
    decoder.refuse(0, fmt::format("{} bytes are too many for a manifest; at most {}", text.size(), kMaxTextSize));
  } else if (const int line = first_bad_line(text); line > 0) {
    decoder.refuse(line, "not UTF-8 text");
  } else {
    for (Tree& tree : read_trees(text)) {
      decoder.add_tree(std::move(tree));
    }
  }
  return decoder.take();
}

Result<std::vector<Pod>> decode_pods(std::string_view text) {
  return decode_lenient<Pod>(text, "Pod");
}
Result<std::vector<Service>> decode_services(std::string_view text) {
  KEELSON_TRY(auto services, decode_lenient<Service>(text, "Service"));
  std::ranges::for_each(services, default_service);
  return services;
}
Result<std::vector<EndpointSlice>> decode_endpoint_slices(std::string_view text) {
  KEELSON_TRY(auto slices, decode_lenient<EndpointSlice>(text, "EndpointSlice"));
  std::ranges::for_each(slices, default_endpoint_slice);
  return slices;
}
Result<std::vector<Event>> decode_events(std::string_view text) {
  return decode_lenient<Event>(text, "Event");
}

}  // namespace keelson::kube
