// SPDX-License-Identifier: Apache-2.0
// mounts.h: openat2(2), mount(2), open_tree(2), mount_setattr(2), move_mount(2).
#include "cri/shim/mounts.h"

#include <fmt/format.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <charconv>

#include "cri/shim/overlay.h"

namespace keelson::cri::shim {

namespace {

/// Splits "/a/b/" into its names; "." and "" go, ".." stays for the kernel to bound.
std::vector<std::string> names_of(const std::string& path) {
  std::vector<std::string> names;
  size_t at = 0;
  while (at < path.size()) {
    auto slash = std::min(path.find('/', at), path.size());
    auto name = path.substr(at, slash - at);
    if (!name.empty() && name != ".") {
      names.push_back(name);
    }
    at = slash + 1;
  }
  return names;
}

Result<> set_attributes(const Fd& tree, struct mount_attr attributes, unsigned flags) {
  if (::mount_setattr(tree.get(), "", AT_EMPTY_PATH | flags, &attributes, sizeof attributes) < 0) {
    return fail_errno(errno, "set the mount's attributes");
  }
  return {};
}

/// "mode=755,gid=5" with the node's ids.
std::string node_options(const std::string& options, const UserNamespace& users) {
  std::string out;
  for (size_t at = 0; at < options.size();) {
    const auto end = std::min(options.find(',', at), options.size());
    const auto option = options.substr(at, end - at);
    const bool user = option.starts_with("uid=");
    if (uint32_t id = 0; (user || option.starts_with("gid=")) &&
                         std::from_chars(option.data() + 4, option.data() + option.size(), id).ec == std::errc()) {
      out += fmt::format("{}{}", option.substr(0, 4), user ? users.node_uid(id) : users.node_gid(id));
    } else {
      out += option;
    }
    out += end < options.size() ? "," : "";
    at = end + 1;
  }
  return out;
}

}  // namespace

Result<Fd> open_target(int root, const std::string& path, bool folder) {
  auto existing = open_in_root(root, path, O_PATH);
  if (existing || existing.error().kind() != Kind::not_found) {
    return existing;
  }
  auto names = names_of(path);
  std::string done = ".";
  for (size_t i = 0; i < names.size(); ++i) {
    std::string next = done + "/" + names[i];
    auto found = open_in_root(root, next, O_PATH);
    if (!found && found.error().kind() != Kind::not_found) {
      return found;
    }
    if (!found) {
      KEELSON_TRY(auto parent, open_in_root(root, done, O_PATH | O_DIRECTORY));
      bool last = i + 1 == names.size();
      int made = last && !folder ? ::mknodat(parent.get(), names[i].c_str(), S_IFREG | 0644, 0)
                                 : ::mkdirat(parent.get(), names[i].c_str(), 0755);
      if (made < 0 && errno != EEXIST) {
        return fail_errno(errno, "make {}", next.substr(1));
      }
    }
    done = next;
  }
  return open_in_root(root, path, O_PATH);
}

Result<Fd> open_real_target(int root, const std::string& path) {
  KEELSON_DO(open_target(root, path, true));
  open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS;
  Fd folder(static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how)));
  if (!folder) {
    return errno == ELOOP ? fail(Kind::invalid, "the image has a link there, and only a folder is safe")
                          : fail_errno(errno, "open {}", path);
  }
  return folder;
}

uint64_t mount_attributes(uint64_t flags) {
  return ((flags & MS_RDONLY) != 0 ? MOUNT_ATTR_RDONLY : 0) | ((flags & MS_NOSUID) != 0 ? MOUNT_ATTR_NOSUID : 0) |
         ((flags & MS_NODEV) != 0 ? MOUNT_ATTR_NODEV : 0) | ((flags & MS_NOEXEC) != 0 ? MOUNT_ATTR_NOEXEC : 0);
}

Result<Fd> copy_source(const Mount& mount) {
  Fd copy(::open_tree(AT_FDCWD, mount.source.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
  if (!copy) {
    return fail_errno(errno, "source {}", mount.source);
  }
  return copy;
}

Result<Fd> copy_image(const Mount& mount, const UserNamespace& users) {
  constexpr const char* kFailed = "ImageVolumeMountFailed";
  if (mount.layers.empty()) {
    return fail(Kind::invalid, "{}: no layers", kFailed);
  }
  const bool several = mount.layers.size() > 1;
  if (several) {
    const Overlay layers{.lower_dirs = mount.layers, .upper_dir = {}, .work_dir = {}, .target = mount.source};
    const UserNamespace none;
    KEELSON_DO(mount_layers(layers, mount.idmapped ? users : none).context(kFailed));
  }
  KEELSON_TRY(const auto whole,
              open_file(several ? mount.source : mount.layers.front(), O_PATH | O_DIRECTORY).context(kFailed));
  const auto part = open_in_root(whole.get(), mount.sub_path.empty() ? "." : mount.sub_path, O_PATH | O_DIRECTORY);
  if (!part) {
    return part.error().code() == ENOENT
               ? fail(Kind::not_found, "{}: sub path \"{}\" does not exist in the image", kFailed, mount.sub_path)
               : fail(part.error().kind(), "{}: sub path \"{}\": {}", kFailed, mount.sub_path, part.error().message());
  }
  Fd copy(::open_tree(part->get(), "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH));
  if (!copy) {
    return fail_errno(errno, "{}: copy the mount", kFailed);
  }
  return copy;
}

Result<> attach(const Fd& mount, const Fd& target) {
  if (::move_mount(mount.get(), "", target.get(), "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0) {
    return fail_errno(errno, "attach");
  }
  return {};
}

Result<> attach_bind(int root, const Mount& mount, const Fd& copy, const UserNamespace& users) {
  struct stat info{};
  if (::fstat(copy.get(), &info) < 0) {
    return fail_errno(errno, "source {}", mount.source);
  }
  struct mount_attr attributes{};
  attributes.propagation = mount.propagation != 0 ? mount.propagation : MS_PRIVATE;
  attributes.attr_set = mount.recursive_read_only ? MOUNT_ATTR_RDONLY : 0;
  KEELSON_DO(set_attributes(copy, attributes, AT_RECURSIVE));
  if (const auto flags = mount_attributes(mount.flags); flags != 0) {
    KEELSON_DO(set_attributes(copy, {.attr_set = flags, .attr_clr = 0, .propagation = 0, .userns_fd = 0}, 0));
  }
  if (mount.kind == MountKind::bind && mount.idmapped && users) {  // an image's layers are mapped each
    KEELSON_DO(map_owners(copy.get(), users.fd.get()).context("source {}", mount.source));
  }
  KEELSON_TRY(const auto target, open_target(root, mount.target, S_ISDIR(info.st_mode)));
  return attach(copy, target);
}

Result<> mount_filesystem(int root, const Mount& mount, const UserNamespace& users) {
  const bool real = mount.type == "proc" || mount.type == "sysfs";
  KEELSON_TRY(const auto target, real ? open_real_target(root, mount.target) : open_target(root, mount.target, true));
  const auto options = users ? node_options(mount.data, users) : mount.data;
  if (::mount(mount.source.c_str(), fmt::format("/proc/self/fd/{}", target.get()).c_str(), mount.type.c_str(),
              mount.flags, options.empty() ? nullptr : options.c_str()) < 0) {
    return fail_errno(errno, "mount");
  }
  return {};
}

}  // namespace keelson::cri::shim
