// SPDX-License-Identifier: Apache-2.0
// Files to one wanted state.
#include "kube/folder/manifest_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <memory>

#include "common/fd.h"
#include "common/sha256.h"

namespace keelson::kube {

struct ManifestFolder::File {
  std::array<int64_t, 7> identity{};  // device, inode, size, mtime and ctime (s, ns)
  std::vector<Document> documents;    // as last read; errors included
  std::vector<Document> good;         // the objects that count: of this version, or of the last good one
};

namespace {

bool is_manifest_name(std::string_view name) {
  bool leaving = name.ends_with('~') || name.ends_with(".swp") || name.ends_with(".tmp") ||
                 (name.starts_with('#') && name.ends_with('#'));
  return !name.empty() && !name.starts_with('.') && !leaving;
}

std::string key_of(const Document& document) {
  return document.kind + " " + (document.ns.empty() ? "default" : document.ns) + "/" + document.name;
}

Document unreadable(const std::string& file, std::string why) {
  Document document;
  document.file = file;
  document.errors.push_back({.file = file, .line = 0, .column = 0, .path = {}, .text = std::move(why)});
  return document;
}

/// The objects that count of a new version: its good ones, and for each bad one what the last version held of it. A
/// document so broken that its name is unknown keeps all that the new version does not name.
std::vector<Document> merge(const std::vector<Document>& fresh, const std::vector<Document>& last) {
  std::vector<Document> good;
  bool nameless = false;
  for (const auto& document : fresh) {
    if (document.object) {
      good.push_back(document);
    } else if (document.name.empty()) {
      nameless = true;
    } else {
      auto old = std::ranges::find(last, key_of(document), key_of);
      if (old != last.end()) {
        good.push_back(*old);
      }
    }
  }
  if (nameless) {
    for (const auto& old : last) {
      if (std::ranges::find(good, key_of(old), key_of) == good.end()) {
        good.push_back(old);
      }
    }
  }
  return good;
}

SourceProblem problem_of(const Document& document, const Problem& problem, bool warning) {
  return {.warning = warning,
          .text = problem.message(),
          .file = document.file,
          .kind = document.kind,
          .ns = document.ns.empty() ? "default" : document.ns,
          .name = document.name};
}

/// Adds an object to the state unless its name is taken.
struct Collect {
  DesiredState& state;
  std::map<std::string, std::string>& owners;  // "Pod default/web" -> file

  void add(const Document& document) {
    auto [owner, first] = owners.try_emplace(key_of(document), document.file);
    if (!first) {
      state.problems.push_back(
          {.warning = false,
           .text = fmt::format("{}:{}: {} is already defined in {}; this one is ignored, rename one of them",
                               document.file, document.line, key_of(document), owner->second),
           .file = document.file,
           .kind = document.kind,
           .ns = document.ns,
           .name = document.name});
      return;
    }
    std::visit([this](const auto& object) { put(object); }, *document.object);
  }
  static std::string name_of(const ObjectMeta& meta) { return full_name(meta); }
  void put(Pod pod) {
    if (pod.metadata.uid.empty()) {
      pod.metadata.uid = manifest_uid(pod);
    }
    pod.status = {};  // what somebody said of another pod once
    state.pods.emplace(name_of(pod.metadata), std::move(pod));
  }
  void put(const ConfigMap& object) { state.config_maps.emplace(name_of(object.metadata), object); }
  void put(const Secret& object) { state.secrets.emplace(name_of(object.metadata), object); }
  void put(const Service& object) { state.services.emplace(name_of(object.metadata), object); }
  void put(const EndpointSlice& object) { state.endpoint_slices.emplace(name_of(object.metadata), object); }
  void put(const Node& object) { state.nodes.emplace(name_of(object.metadata), object); }
  void put(const RuntimeClass& object) { state.runtime_classes.emplace(name_of(object.metadata), object); }
};

Result<std::vector<std::string>> list_names(const std::string& path) {
  std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(path.c_str()), ::closedir);
  if (dir == nullptr) {
    return fail_errno(errno, "open {}", path);
  }
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(dir.get())) {
    if (is_manifest_name(entry->d_name)) {
      names.emplace_back(entry->d_name);
    }
  }
  std::ranges::sort(names);
  return names;
}

/// The manifests of a folder in the order of their names, or the one file that `path` is.
Result<std::vector<std::string>> list_files(const std::string& path) {
  auto fd = open_file(path, O_RDONLY | O_NONBLOCK);
  if (!fd) {
    if (fd.error().kind() == Kind::not_found) {
      return std::vector<std::string>();
    }
    return std::unexpected(std::move(fd).error());
  }
  struct stat status{};
  if (::fstat(fd->get(), &status) != 0) {
    return fail_errno(errno, "stat {}", path);
  }
  if (!S_ISDIR(status.st_mode)) {
    return std::vector<std::string>{path};
  }
  KEELSON_TRY(auto names, list_names(path));
  for (auto& name : names) {
    name = path + "/" + name;
  }
  return names;
}

void add_problems(DesiredState& state, const std::vector<Document>& documents) {
  for (const auto& document : documents) {
    for (const auto& problem : document.errors) {
      state.problems.push_back(problem_of(document, problem, false));
    }
    for (const auto& problem : document.warnings) {
      state.problems.push_back(problem_of(document, problem, true));
    }
  }
}

}  // namespace

ManifestFolder::ManifestFolder(std::string path) : path_(std::move(path)) {}
ManifestFolder::~ManifestFolder() = default;

std::optional<ManifestFolder::File> ManifestFolder::read(const std::string& path) {
  File file;
  auto known = files_.find(path);
  if (known != files_.end()) {
    file.good = known->second.good;
  }
  auto name = path.substr(path.rfind('/') + 1);
  auto fd = open_file(path, O_RDONLY | O_NONBLOCK);
  if (!fd) {
    if (fd.error().kind() == Kind::not_found) {
      return std::nullopt;  // gone since the listing, or a link to nothing
    }
    file.documents.push_back(unreadable(name, errno_text(fd.error().code())));
    return file;
  }
  struct stat now{};
  if (::fstat(fd->get(), &now) != 0 || !S_ISREG(now.st_mode)) {
    return std::nullopt;
  }
  file.identity = {static_cast<int64_t>(now.st_dev),
                   static_cast<int64_t>(now.st_ino),
                   now.st_size,
                   now.st_mtim.tv_sec,
                   now.st_mtim.tv_nsec,
                   now.st_ctim.tv_sec,
                   now.st_ctim.tv_nsec};
  if (known != files_.end() && known->second.identity == file.identity) {
    return known->second;
  }
  auto text = read_all(fd->get(), kMaxTextSize);
  if (!text) {
    bool large = text.error().kind() == Kind::exhausted;
    file.documents.push_back(unreadable(
        name, large
                  ? fmt::format("{} bytes are too many for a manifest; at most {} are read", now.st_size, kMaxTextSize)
                  : text.error().message()));
    return file;
  }
  file.documents = decode_documents(*text, name);
  file.good = merge(file.documents, file.good);
  return file;
}

Result<DesiredState> ManifestFolder::scan() {
  KEELSON_TRY(auto paths, list_files(path_));
  std::map<std::string, File> files;
  DesiredState state;
  std::map<std::string, std::string> owners;
  for (const auto& path : paths) {
    auto file = read(path);
    if (!file) {
      continue;
    }
    add_problems(state, file->documents);
    for (const auto& document : file->good) {
      Collect{state, owners}.add(document);
    }
    files.emplace(path, *std::move(file));
  }
  files_ = std::move(files);
  return state;
}

void add_overheads(DesiredState& state) {
  for (auto& [key, pod] : state.pods) {
    if (!pod.spec.runtime_class_name || !pod.spec.overhead.empty()) {
      continue;
    }
    if (const auto found = state.runtime_classes.find(*pod.spec.runtime_class_name);
        found != state.runtime_classes.end()) {
      pod.spec.overhead = found->second.overhead;
    }
  }
}

std::string manifest_uid(const Pod& pod) {
  auto d = sha256(encode_json(pod));
  d[6] = static_cast<uint8_t>((d[6] & 0x0f) | 0x80);  // RFC 9562 version 8: a hash of our own choice
  d[8] = static_cast<uint8_t>((d[8] & 0x3f) | 0x80);
  std::string uid;
  for (size_t i = 0; i < 16; ++i) {
    uid += fmt::format("{}{:02x}", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", d[i]);
  }
  return uid;
}

}  // namespace keelson::kube
