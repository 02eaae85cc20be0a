// SPDX-License-Identifier: Apache-2.0
// libarchive twice: once to uncompress (so that the digest is over the plain archive), once to read the entries.
#include "cri/image/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <array>
#include <memory>
#include <vector>

#include "common/fd.h"
#include "cri/image/digest.h"

namespace keelson::cri::image {

namespace {

using Archive = std::unique_ptr<archive, decltype([](archive* a) { ::archive_read_free(a); })>;

constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";
constexpr size_t kMaxPath = 4096;

/// libarchive sometimes fails without saying why.
std::string error_of(archive* from) {
  const char* text = ::archive_error_string(from);
  return text != nullptr ? text : "the archive is damaged";
}

/// libarchive gives no text in the locale when that is plain "C" and the name is not ASCII.
const char* either(const char* local, const char* utf8) {
  return local != nullptr ? local : utf8;
}

/// The uncompressed bytes, hashed and counted on their way to the tar reader.
struct Plain {
  Archive compressed;
  Sha256 hash;
  uint64_t bytes = 0;
  uint64_t limit = 0;
  bool over_limit = false;
  bool ended = false;
  std::array<char, 65536> buffer;
};

ssize_t read_plain(archive* tar, void* context, const void** data) {
  auto& plain = *static_cast<Plain*>(context);
  if (plain.ended) {
    return 0;
  }
  ssize_t n = ::archive_read_data(plain.compressed.get(), plain.buffer.data(), plain.buffer.size());
  if (n < 0) {
    ::archive_set_error(tar, EIO, "%s", ::archive_error_string(plain.compressed.get()));
    return ARCHIVE_FATAL;
  }
  plain.ended = n == 0;
  plain.bytes += static_cast<uint64_t>(n);
  if (plain.bytes > plain.limit) {
    plain.over_limit = true;
    ::archive_set_error(tar, ENOSPC, "limit");
    return ARCHIVE_FATAL;
  }
  plain.hash.update({plain.buffer.data(), static_cast<size_t>(n)});
  *data = plain.buffer.data();
  return n;
}

/// The path inside the layer, without leading "/" and "./". Empty for the root itself.
Result<std::string> clean_path(std::string_view path) {
  if (path.size() > kMaxPath) {
    return fail(Kind::invalid, "layer entry '{}...': the path is longer than {} bytes", path.substr(0, 64), kMaxPath);
  }
  std::string clean;
  for (size_t at = 0; at <= path.size();) {
    auto slash = std::min(path.find('/', at), path.size());
    auto name = path.substr(at, slash - at);
    if (name == "..") {
      return fail(Kind::invalid, "layer entry '{}': '..' leads out of the layer", path);
    }
    if (!name.empty() && name != ".") {
      clean += (clean.empty() ? "" : "/") + std::string(name);
    }
    at = slash + 1;
  }
  return clean;
}

class Layer {
 public:
  explicit Layer(Fd root) : root_(std::move(root)) {}

  Result<> add(archive* tar, archive_entry* entry, uint64_t& content) {
    const char* raw = either(::archive_entry_pathname(entry), ::archive_entry_pathname_utf8(entry));
    if (raw == nullptr) {
      return fail(Kind::invalid, "a layer entry has no path");
    }
    KEELSON_TRY(auto path, clean_path(raw));
    if (path.empty()) {
      return set_metadata(entry, root_.get(), "/", "");
    }
    auto slash = path.rfind('/');
    std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    KEELSON_TRY(auto parent, open_parent(slash == std::string::npos ? "" : path.substr(0, slash)));
    if (name.starts_with(kWhiteout)) {
      return whiteout(parent.get(), name).context("layer entry '{}'", path);
    }
    return make(tar, entry, parent.get(), name, content).context("layer entry '{}'", path);
  }

  /// Folders get their times when nothing is made in them any more.
  Result<> finish() {
    for (const auto& [path, times] : folders_) {
      auto folder = open_in_root(root_.get(), path, O_RDONLY | O_DIRECTORY);
      if (folder) {
        ::futimens(folder->get(), times.data());
      }
    }
    return {};
  }

 private:
  Result<Fd> open_parent(const std::string& path) {
    auto found = open_in_root(root_.get(), path.empty() ? "." : path, O_RDONLY | O_DIRECTORY);
    if (found || path.empty() || (found.error().kind() != Kind::not_found && found.error().code() != ENOTDIR)) {
      return found;
    }
    auto slash = path.rfind('/');
    KEELSON_TRY(auto parent, open_parent(slash == std::string::npos ? "" : path.substr(0, slash)));
    std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    const bool hides = is_whiteout(parent.get(), name) && ::unlinkat(parent.get(), name.c_str(), 0) == 0;
    if (::mkdirat(parent.get(), name.c_str(), 0755) < 0 && errno != EEXIST) {
      return fail_errno(errno, "make folder {}", path);
    }
    if (hides) {
      KEELSON_DO(make_opaque(parent.get(), name).context("folder {}", path));
    }
    return open_in_root(root_.get(), path, O_RDONLY | O_DIRECTORY);
  }

  static bool is_whiteout(int parent, const std::string& name) {
    struct stat info{};
    return ::fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(info.st_mode) &&
           info.st_rdev == 0;
  }

  /// Nothing of lower layers is seen in the folder.
  static Result<> make_opaque(int parent, const std::string& name) {
    const Fd folder(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!folder || ::fsetxattr(folder.get(), "trusted.overlay.opaque", "y", 1, 0) < 0) {
      return fail_errno(errno, "mark the folder opaque");
    }
    return {};
  }

  /// A whiteout is of lower layers alone, wherever it stands in the archive (OCI image-spec, layer.md): what this layer
  /// has under the name stays, and hides them.
  Result<> whiteout(int parent, const std::string& name) {
    if (name == kOpaque) {
      return make_opaque(parent, ".");
    }
    std::string hidden = name.substr(kWhiteout.size());
    if (hidden.starts_with(kWhiteout)) {
      return {};  // aufs' own bookkeeping
    }
    if (hidden.empty() || hidden == "." || hidden == "..") {
      return fail(Kind::invalid, "a whiteout of '{}'", hidden);
    }
    struct stat own{};
    if (::fstatat(parent, hidden.c_str(), &own, AT_SYMLINK_NOFOLLOW) == 0) {
      return S_ISDIR(own.st_mode) ? make_opaque(parent, hidden) : Result<>();
    }
    if (::mknodat(parent, hidden.c_str(), S_IFCHR, ::makedev(0, 0)) < 0) {
      return fail_errno(errno, "make the whiteout");
    }
    return {};
  }

  /// Takes away what an earlier entry of this layer made under the name; a folder stays when a folder comes.
  Result<> clear(int parent, const std::string& name, bool folder_comes) {
    struct stat info{};
    if (::fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) < 0) {
      return {};
    }
    if (S_ISDIR(info.st_mode)) {
      return folder_comes ? Result<>() : remove_tree(fmt::format("/proc/self/fd/{}/{}", parent, name));
    }
    if (::unlinkat(parent, name.c_str(), 0) < 0) {
      return fail_errno(errno, "replace it");
    }
    return {};
  }

  Result<> make(archive* tar, archive_entry* entry, int parent, const std::string& name, uint64_t& content) {
    auto type = ::archive_entry_filetype(entry);
    const bool hides = is_whiteout(parent, name);
    KEELSON_DO(clear(
        parent, name,
        type == AE_IFDIR && either(::archive_entry_hardlink(entry), ::archive_entry_hardlink_utf8(entry)) == nullptr));
    if (const char* target = either(::archive_entry_hardlink(entry), ::archive_entry_hardlink_utf8(entry))) {
      return make_hard_link(parent, name, target);
    }
    mode_t mode = ::archive_entry_perm(entry) & 07777;
    int failed = 0;
    switch (type) {
      case AE_IFDIR:
        failed = ::mkdirat(parent, name.c_str(), 0755) < 0 && errno != EEXIST ? errno : 0;
        if (failed == 0 && hides) {
          KEELSON_DO(make_opaque(parent, name));
        }
        break;
      case AE_IFREG:
        return write_file(tar, entry, parent, name, content);
      case AE_IFLNK: {
        const char* target = either(::archive_entry_symlink(entry), ::archive_entry_symlink_utf8(entry));
        if (target == nullptr) {
          return fail(Kind::invalid, "a symbolic link without a target");
        }
        failed = ::symlinkat(target, parent, name.c_str()) < 0 ? errno : 0;
        break;
      }
      case AE_IFCHR:
      case AE_IFBLK:
      case AE_IFIFO:
        failed = ::mknodat(parent, name.c_str(), static_cast<mode_t>(type) | mode, ::archive_entry_rdev(entry)) < 0
                     ? errno
                     : 0;
        break;
      default:
        return fail(Kind::invalid, "an entry of unknown type {:o}", type);
    }
    if (failed != 0) {
      return fail_errno(failed, "make it");
    }
    return set_metadata(entry, parent, name, name);
  }

  Result<> make_hard_link(int parent, const std::string& name, const char* raw) {
    KEELSON_TRY(auto target, clean_path(raw));
    KEELSON_TRY(auto source, open_in_root(root_.get(), target, O_PATH | O_NOFOLLOW).context("hard link to '{}'", raw));
    struct stat info{};
    if (::fstat(source.get(), &info) < 0 || S_ISDIR(info.st_mode)) {
      return fail(Kind::invalid, "hard link to '{}', which is a folder", raw);
    }
    if (::linkat(source.get(), "", parent, name.c_str(), AT_EMPTY_PATH) < 0) {
      return fail_errno(errno, "hard link to '{}'", raw);
    }
    return {};
  }

  Result<> write_file(archive* tar, archive_entry* entry, int parent, const std::string& name, uint64_t& content) {
    Fd file(::openat(parent, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) {
      return fail_errno(errno, "make it");
    }
    const void* data = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    int read = ARCHIVE_OK;
    la_int64_t end = 0;
    while ((read = ::archive_read_data_block(tar, &data, &size, &offset)) == ARCHIVE_OK) {
      // Holes of sparse files stay holes.
      if (::pwrite(file.get(), data, size, offset) != static_cast<ssize_t>(size)) {
        return fail_errno(errno == 0 ? ENOSPC : errno, "write it");
      }
      end = offset + static_cast<la_int64_t>(size);
      content += size;
    }
    if (read != ARCHIVE_EOF) {
      return fail(Kind::invalid, "{}", error_of(tar));
    }
    if (end < ::archive_entry_size(entry) && ::ftruncate(file.get(), ::archive_entry_size(entry)) < 0) {
      return fail_errno(errno, "extend it");
    }
    return set_metadata(entry, parent, name, name);
  }

  Result<> set_metadata(archive_entry* entry, int parent, const std::string& name, const std::string& shown) {
    bool root = name == "/";
    const char* path = root ? "" : name.c_str();
    int flags = AT_SYMLINK_NOFOLLOW | (root ? AT_EMPTY_PATH : 0);
    if (::fchownat(parent, path, static_cast<uid_t>(::archive_entry_uid(entry)),
                   static_cast<gid_t>(::archive_entry_gid(entry)), flags) < 0) {
      return fail_errno(errno, "set the owner of {}", shown);
    }
    auto type = ::archive_entry_filetype(entry);
    // After the owner: chown takes set-user-ID away.
    if (type != AE_IFLNK) {
      mode_t mode = ::archive_entry_perm(entry) & 07777;
      int failed = root ? ::fchmod(parent, mode) : ::fchmodat(parent, path, mode, 0);
      if (failed < 0) {
        return fail_errno(errno, "set the mode of {}", shown);
      }
    }
    if (!root) {
      KEELSON_DO(set_xattrs(entry, fmt::format("/proc/self/fd/{}/{}", parent, name)));
    }
    std::array<timespec, 2> times = {{{::archive_entry_mtime(entry), ::archive_entry_mtime_nsec(entry)},
                                      {::archive_entry_mtime(entry), ::archive_entry_mtime_nsec(entry)}}};
    if (type == AE_IFDIR) {
      if (auto clean = clean_path(either(::archive_entry_pathname(entry), ::archive_entry_pathname_utf8(entry)));
          clean && !clean->empty()) {
        folders_.emplace_back(*clean, times);
      }
    } else {
      ::utimensat(parent, path, times.data(), AT_SYMLINK_NOFOLLOW);
    }
    return {};
  }

  static Result<> set_xattrs(archive_entry* entry, const std::string& path) {
    ::archive_entry_xattr_reset(entry);
    const char* name = nullptr;
    const void* value = nullptr;
    size_t size = 0;
    while (::archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
      std::string_view key = name;
      if (key != "security.capability" && !key.starts_with("user.")) {
        continue;
      }
      if (::lsetxattr(path.c_str(), name, value, size, 0) < 0 && errno != EOPNOTSUPP && errno != EPERM) {
        return fail_errno(errno, "set the attribute {}", key);
      }
    }
    return {};
  }

  Fd root_;
  std::vector<std::pair<std::string, std::array<timespec, 2>>> folders_;
};

Result<Archive> open_compressed(int fd) {
  Archive compressed(::archive_read_new());
  ::archive_read_support_filter_gzip(compressed.get());
  ::archive_read_support_filter_zstd(compressed.get());
  ::archive_read_support_format_raw(compressed.get());
  ::archive_read_support_format_empty(compressed.get());
  archive_entry* whole = nullptr;
  if (::archive_read_open_fd(compressed.get(), fd, 65536) != ARCHIVE_OK ||
      ::archive_read_next_header(compressed.get(), &whole) != ARCHIVE_OK) {
    return fail(Kind::invalid, "layer: {}", error_of(compressed.get()));
  }
  return compressed;
}

}  // namespace

Result<Unpacked> unpack_layer(int fd, const std::string& target, UnpackLimits limits) {
  KEELSON_TRY(auto root, open_file(target, O_RDONLY | O_DIRECTORY));
  Plain plain;
  plain.limit = limits.bytes;
  KEELSON_TRY(plain.compressed, open_compressed(fd));
  Archive tar(::archive_read_new());
  ::archive_read_support_format_tar(tar.get());
  ::archive_read_support_format_empty(tar.get());
  auto too_large = [&] {
    return fail(Kind::exhausted, "layer: larger than the limit of {} bytes uncompressed", limits.bytes);
  };
  if (::archive_read_open(tar.get(), &plain, nullptr, read_plain, nullptr) != ARCHIVE_OK) {
    return plain.over_limit ? too_large() : fail(Kind::invalid, "layer: {}", error_of(tar.get()));
  }
  Layer layer(std::move(root));
  Unpacked unpacked;
  archive_entry* entry = nullptr;
  int next = ARCHIVE_OK;
  uint64_t count = 0;
  while ((next = ::archive_read_next_header(tar.get(), &entry)) == ARCHIVE_OK || next == ARCHIVE_WARN) {
    if (++count > limits.entries) {
      return fail(Kind::exhausted, "layer: more than {} entries", limits.entries);
    }
    auto added = layer.add(tar.get(), entry, unpacked.bytes);
    if (!added) {
      return plain.over_limit ? Result<Unpacked>(too_large()) : std::unexpected(std::move(added).error());
    }
  }
  if (next != ARCHIVE_EOF) {
    return plain.over_limit ? too_large() : fail(Kind::invalid, "layer: {}", error_of(tar.get()));
  }
  // What is behind the archive's end counts for the digest.
  const void* rest = nullptr;
  for (ssize_t n = 1; n > 0;) {
    n = read_plain(tar.get(), &plain, &rest);
    if (n < 0) {
      return plain.over_limit ? too_large() : fail(Kind::invalid, "layer: {}", error_of(tar.get()));
    }
  }
  KEELSON_DO(layer.finish());
  unpacked.diff_id = digest_text(plain.hash.finish());
  return unpacked;
}

}  // namespace keelson::cri::image
