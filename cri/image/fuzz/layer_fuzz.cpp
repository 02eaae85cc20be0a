// SPDX-License-Identifier: Apache-2.0
// Fuzzer: any bytes as a layer's archive. Whatever they are, nothing outside the layer's folder is made, changed or
// tried, and limits hold.
//
// Everything but /tmp and the working folder is read-only here: a step outside is then an error that is looked for.
// Headers get the check sums that they need, or no mutation would pass the first look.
#include <fcntl.h>
#include <fmt/core.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "common/fd.h"
#include "cri/image/unpack.h"

namespace {

namespace fs = std::filesystem;
constexpr uint64_t kBytes = 1 << 20;
constexpr uint64_t kEntries = 200;

void expect(bool good, const char* what, const std::string& text) {
  if (!good) {
    fmt::print(stderr, "{}\n{}\n", what, text);
    std::abort();
  }
}

bool make_writable(const char* path) {
  struct mount_attr attributes{};
  attributes.attr_clr = MOUNT_ATTR_RDONLY;
  return ::syscall(SYS_mount_setattr, AT_FDCWD, path, 0, &attributes, sizeof attributes) == 0;
}

std::string make_jail() {
  const auto here = fs::current_path().string();
  struct mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  bool jailed = ::unshare(CLONE_NEWNS) == 0 && ::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                ::mount("/tmp", "/tmp", nullptr, MS_BIND, nullptr) == 0 &&
                ::mount(here.c_str(), here.c_str(), nullptr, MS_BIND, nullptr) == 0 &&
                ::syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &attributes, sizeof attributes) == 0 &&
                make_writable("/tmp") && make_writable(here.c_str());
  expect(jailed, "needs mounts of its own: run it as root", std::strerror(errno));
  char name[] = "/tmp/keelson-fuzz-layer-XXXXXX";
  expect(::mkdtemp(name) != nullptr && ::mount("fuzz", name, "tmpfs", 0, "size=64m") == 0, "cannot make", name);
  const auto file = keelson::open_file(std::string(name) + "/outside", O_WRONLY | O_CREAT);
  expect(file && keelson::write_all(file->get(), "untouched").has_value(), "cannot write", name);
  return name;
}

void mend_check_sums(std::string& archive) {
  for (size_t at = 0; at + 512 <= archive.size(); at += 512) {
    if (archive.compare(at + 257, 5, "ustar") == 0) {
      std::memset(&archive[at + 148], ' ', 8);
      unsigned sum = 0;
      for (size_t i = 0; i < 512; ++i) {
        sum += static_cast<unsigned char>(archive[at + i]);
      }
      std::snprintf(&archive[at + 148], 8, "%06o", sum);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::string jail = make_jail();
  std::string archive(reinterpret_cast<const char*>(data), size);
  mend_check_sums(archive);
  const keelson::Fd file(static_cast<int>(::memfd_create("layer", MFD_CLOEXEC)));
  expect(keelson::write_all(file.get(), archive).has_value() && ::lseek(file.get(), 0, SEEK_SET) == 0, "memfd", "");
  const auto target = jail + "/layer";
  expect(::mkdir(target.c_str(), 0700) == 0, "cannot make", target);
  const auto unpacked = keelson::cri::image::unpack_layer(file.get(), target, {.bytes = kBytes, .entries = kEntries});
  if (unpacked) {
    expect(unpacked->bytes <= kBytes, "more than the limit", std::to_string(unpacked->bytes));
  } else {
    expect(unpacked.error().message().find("Read-only file system") == std::string::npos, "a step outside",
           unpacked.error().message());
  }
  expect(keelson::read_file(jail + "/outside").value_or("") == "untouched", "changed outside", jail);
  expect(std::distance(fs::directory_iterator(jail), {}) == 2, "made outside", jail);
  const auto removed = keelson::remove_tree(target);
  expect(removed.has_value(), "what was unpacked cannot be removed", target);
  return 0;
}
