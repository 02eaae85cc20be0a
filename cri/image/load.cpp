// SPDX-License-Identifier: Apache-2.0
// A folder of files by name, from a folder or a tar, and the two kinds of layout in it.
#include "cri/image/load.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <memory>

#include <boost/json/parse.hpp>

#include "cri/image/digest.h"
#include "cri/image/reference.h"

namespace keelson::cri::image {

namespace json = boost::json;

namespace {

constexpr size_t kMaxDocument = 8 << 20;

/// The files of a layout by their names.
class Files {
 public:
  virtual ~Files() = default;
  /// At its start. Kind::not_found names it.
  virtual Result<Fd> open(const std::string& name) = 0;
  Result<std::string> read(const std::string& name) {
    KEELSON_TRY(auto fd, open(name));
    return read_all(fd.get(), kMaxDocument).context("{}", name);
  }
};

class FolderFiles : public Files {
 public:
  explicit FolderFiles(Fd folder) : folder_(std::move(folder)) {}
  Result<Fd> open(const std::string& name) override { return open_in_root(folder_.get(), name, O_RDONLY); }

 private:
  Fd folder_;
};

/// A tar's members stay in the tar: each is a range of the file, copied out when it is opened.
class TarFiles : public Files {
 public:
  static Result<std::unique_ptr<TarFiles>> read(const ImageStore& store, const std::string& path) {
    std::unique_ptr<TarFiles> files(new TarFiles());
    std::unique_ptr<archive, decltype([](archive* a) { ::archive_read_free(a); })> tar(::archive_read_new());
    ::archive_read_support_format_tar(tar.get());
    ::archive_read_support_filter_gzip(tar.get());
    ::archive_read_support_filter_zstd(tar.get());
    KEELSON_TRY(auto fd, open_file(path, O_RDONLY));
    if (::archive_read_open_fd(tar.get(), fd.get(), 65536) != ARCHIVE_OK) {
      return fail(Kind::invalid, "{}: {}", path, ::archive_error_string(tar.get()));
    }
    archive_entry* entry = nullptr;
    int next = ARCHIVE_OK;
    while ((next = ::archive_read_next_header(tar.get(), &entry)) == ARCHIVE_OK) {
      std::string name = ::archive_entry_pathname(entry);
      name.erase(0, name.starts_with("./") ? 2 : 0);
      if (const char* link = ::archive_entry_filetype(entry) == AE_IFLNK ? ::archive_entry_symlink(entry)
                                                                         : ::archive_entry_hardlink(entry)) {
        files->links_[name] = link;
      } else if (::archive_entry_filetype(entry) == AE_IFREG) {
        KEELSON_TRY(auto copy, store.make_temporary());
        if (::archive_read_data_into_fd(tar.get(), copy.get()) != ARCHIVE_OK) {
          return fail(Kind::invalid, "{}: {}: {}", path, name, ::archive_error_string(tar.get()));
        }
        files->members_[name] = std::move(copy);
      }
    }
    if (next != ARCHIVE_EOF) {
      return fail(Kind::invalid, "{}: {}", path, ::archive_error_string(tar.get()));
    }
    return files;
  }

  Result<Fd> open(const std::string& name) override {
    auto link = links_.find(name);
    auto found = members_.find(link == links_.end() ? name : resolve(name, link->second));
    if (found == members_.end()) {
      return fail(Kind::not_found, "{} is not in the archive", name);
    }
    // A descriptor with an offset of its own.
    return open_file(fmt::format("/proc/self/fd/{}", found->second.get()), O_RDONLY);
  }

 private:
  TarFiles() = default;
  /// docker save writes "<id>/layer.tar" as a link "../<other>/layer.tar".
  static std::string resolve(const std::string& name, const std::string& target) {
    if (!target.starts_with("../")) {
      return target;
    }
    auto folder = name.substr(0, name.rfind('/'));
    auto slash = folder.rfind('/');
    return (slash == std::string::npos ? "" : folder.substr(0, slash + 1)) + target.substr(3);
  }
  std::map<std::string, Fd> members_;
  std::map<std::string, std::string> links_;
};

Result<json::value> parse(const std::string& text, const std::string& name) {
  boost::system::error_code error;
  auto value = json::parse(text, error);
  if (error) {
    return fail(Kind::invalid, "{}: not JSON", name);
  }
  return value;
}

Result<std::string> whole_name(const std::string& text) {
  KEELSON_TRY(auto reference, parse_reference(text));
  return reference.text();
}

/// docker save: manifest.json lists images with paths of config and layers.
Result<std::vector<std::string>> load_docker(ImageStore& store, Files& files) {
  KEELSON_TRY(auto text, files.read("manifest.json"));
  KEELSON_TRY(auto value, parse(text, "manifest.json"));
  if (!value.is_array()) {
    return fail(Kind::invalid, "manifest.json: expected a list of images");
  }
  std::vector<std::string> names;
  for (const auto& item : value.get_array()) {
    const auto* object = item.if_object();
    const auto* config = object != nullptr ? object->if_contains("Config") : nullptr;
    const auto* layers = object != nullptr ? object->if_contains("Layers") : nullptr;
    if (config == nullptr || !config->is_string() || layers == nullptr || !layers->is_array()) {
      return fail(Kind::invalid, "manifest.json: expected Config and Layers");
    }
    NewImage image;
    KEELSON_TRY(image.config_text, files.read(std::string(config->get_string())));
    image.id = sha256_of(image.config_text);
    if (const auto* tags = object->if_contains("RepoTags"); tags != nullptr && tags->is_array()) {
      for (const auto& tag : tags->get_array()) {
        KEELSON_TRY(auto name, whole_name(tag.is_string() ? std::string(tag.get_string()) : ""));
        image.tags.push_back(name);
      }
    }
    std::vector<std::string> paths;
    for (const auto& layer : layers->get_array()) {
      paths.emplace_back(layer.is_string() ? std::string(layer.get_string()) : "");
    }
    KEELSON_TRY(auto parsed, parse_config(image.config_text));
    if (parsed.diff_ids.size() != paths.size()) {
      return fail(Kind::invalid, "manifest.json: {} layers, but the config has {}", paths.size(),
                  parsed.diff_ids.size());
    }
    image.open_layer = [&files, paths](size_t i) { return files.open(paths[i]); };
    KEELSON_TRY(auto stored, store.add(image));
    names.insert(names.end(), image.tags.begin(), image.tags.end());
    if (image.tags.empty()) {
      names.push_back(stored.id);
    }
  }
  return names;
}

std::string blob_path(const std::string& digest) {
  return "blobs/sha256/" + digest.substr(7);
}

Result<std::string> read_blob(Files& files, const Descriptor& blob) {
  KEELSON_TRY(auto text, files.read(blob_path(blob.digest)));
  if (sha256_of(text) != blob.digest) {
    return fail(Kind::invalid, "blob {}: its content is {}", blob.digest, sha256_of(text));
  }
  return text;
}

std::string name_of(const Descriptor& entry) {
  for (const char* key : {"io.containerd.image.name", "org.opencontainers.image.ref.name"}) {
    if (auto found = entry.annotations.find(key); found != entry.annotations.end()) {
      // A bare tag ("latest") names no repository.
      if (found->second.find_first_of("/:") != std::string::npos) {
        return found->second;
      }
    }
  }
  return "";
}

/// An OCI image layout: index.json, manifests and configs as blobs.
Result<std::vector<std::string>> load_oci(ImageStore& store, Files& files) {
  KEELSON_TRY(auto text, files.read("index.json"));
  auto architecture = this_architecture();
  KEELSON_TRY(auto top, parse_manifest(text, architecture).context("index.json"));
  std::vector<std::string> names;
  for (const auto& entry : top.entries) {
    Descriptor wanted = entry;
    KEELSON_TRY(auto manifest_text, read_blob(files, wanted));
    KEELSON_TRY(auto parsed, parse_manifest(manifest_text, architecture));
    if (parsed.index) {
      wanted = parsed.chosen;
      KEELSON_TRY(manifest_text, read_blob(files, wanted));
      KEELSON_TRY(parsed, parse_manifest(manifest_text, architecture));
    }
    NewImage image;
    KEELSON_TRY(image.config_text, read_blob(files, parsed.manifest.config));
    image.id = parsed.manifest.config.digest;
    if (auto name = name_of(entry); !name.empty()) {
      KEELSON_TRY(auto reference, parse_reference(name));
      image.tags.push_back(reference.text());
      image.digests.push_back(reference.name() + "@" + entry.digest);
    }
    image.open_layer = [&files, layers = parsed.manifest.layers](size_t i) -> Result<Fd> {
      if (i >= layers.size()) {
        return fail(Kind::invalid, "the manifest has {} layers, the config more", layers.size());
      }
      return files.open(blob_path(layers[i].digest));
    };
    KEELSON_TRY(auto stored, store.add(image));
    names.push_back(image.tags.empty() ? stored.id : image.tags.front());
  }
  return names;
}

}  // namespace

Result<std::vector<std::string>> load_images(ImageStore& store, const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) < 0) {
    return fail_errno(errno, "load {}", path);
  }
  std::unique_ptr<Files> files;
  if (S_ISDIR(info.st_mode)) {
    KEELSON_TRY(auto folder, open_file(path, O_RDONLY | O_DIRECTORY));
    files = std::make_unique<FolderFiles>(std::move(folder));
  } else {
    KEELSON_TRY(files, TarFiles::read(store, path));
  }
  // Archives of newer tools are both; the OCI side has digests to check.
  bool oci = files->open("oci-layout").has_value() && files->open("index.json").has_value();
  bool docker = files->open("manifest.json").has_value();
  if (!oci && !docker) {
    return fail(Kind::invalid,
                "{} is neither an OCI layout (oci-layout, index.json) nor a docker archive (manifest.json)", path);
  }
  return (docker ? load_docker(store, *files) : load_oci(store, *files)).context("load {}", path);
}

}  // namespace keelson::cri::image
