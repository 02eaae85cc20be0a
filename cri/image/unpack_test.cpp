// SPDX-License-Identifier: Apache-2.0
// Layers as root: what an archive makes, and hostile archives.
#include "cri/image/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "common/fd.h"

namespace keelson::cri::image {
namespace {

namespace fs = std::filesystem;

struct Item {
  std::string path;
  mode_t type = AE_IFREG;
  std::string content = {};  ///< or the link's target
  bool hard_link = false;
};

class Unpack : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/keelson-unpack-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
    fs::create_directories(dir_ / "root");
  }
  void TearDown() override { fs::remove_all(dir_); }

  Result<Unpacked> unpack(const std::vector<Item>& items, UnpackLimits limits = {}) {
    auto file = dir_ / "layer.tar.gz";
    archive* out = ::archive_write_new();
    ::archive_write_add_filter_gzip(out);
    ::archive_write_set_format_pax_restricted(out);
    ::archive_write_open_filename(out, file.c_str());
    for (const auto& item : items) {
      archive_entry* entry = ::archive_entry_new();
      ::archive_entry_set_pathname(entry, item.path.c_str());
      ::archive_entry_set_filetype(entry, item.type);
      ::archive_entry_set_perm(entry, 04755);
      ::archive_entry_set_mtime(entry, 1000, 0);
      bool content = item.type == AE_IFREG && !item.hard_link;
      ::archive_entry_set_size(entry, content ? static_cast<la_int64_t>(item.content.size()) : 0);
      if (item.hard_link) {
        ::archive_entry_set_hardlink(entry, item.content.c_str());
      } else if (item.type == AE_IFLNK) {
        ::archive_entry_set_symlink(entry, item.content.c_str());
      }
      ::archive_write_header(out, entry);
      if (content) {
        ::archive_write_data(out, item.content.data(), item.content.size());
      }
      ::archive_entry_free(entry);
    }
    ::archive_write_free(out);
    int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    auto result = unpack_layer(fd, (dir_ / "root").string(), limits);
    ::close(fd);
    return result;
  }

  fs::path dir_;
};

TEST_F(Unpack, FilesModesTimesLinks) {
  auto done = unpack({{"d/f", AE_IFREG, "hello"},
                      {"d/h", AE_IFREG, "d/f", true},
                      {"abs", AE_IFLNK, "/etc/passwd"},
                      {"/lead", AE_IFREG, "x"}});
  ASSERT_TRUE(done) << done.error().message();
  struct stat info{};
  ASSERT_EQ(::stat((dir_ / "root/d/f").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 04755U);
  EXPECT_EQ(info.st_mtime, 1000);
  EXPECT_EQ(info.st_nlink, 2U);
  EXPECT_EQ(fs::read_symlink(dir_ / "root/abs"), "/etc/passwd");
  EXPECT_TRUE(fs::exists(dir_ / "root/lead"));
  EXPECT_TRUE(done->diff_id.starts_with("sha256:"));
}

TEST_F(Unpack, WhiteoutsBecomeOverlayfsOwn) {
  ASSERT_TRUE(unpack({{"d/.wh.gone"}, {"d/.wh..wh..opq"}}));
  struct stat info{};
  ASSERT_EQ(::lstat((dir_ / "root/d/gone").c_str(), &info), 0);
  EXPECT_TRUE(S_ISCHR(info.st_mode) && info.st_rdev == 0);
  char value = 0;
  EXPECT_EQ(::getxattr((dir_ / "root/d").c_str(), "trusted.overlay.opaque", &value, 1), 1);
  EXPECT_EQ(value, 'y');
}

TEST_F(Unpack, WhiteoutsAreOfLowerLayersWhereverTheyStand) {
  ASSERT_TRUE(unpack({{"before/.wh.f"},
                      {"before/f", AE_IFREG, "x"},
                      {"after/f", AE_IFREG, "x"},
                      {"after/.wh.f"},
                      {".wh.d1"},
                      {"d1", AE_IFDIR},
                      {"d2/f", AE_IFREG, "x"},
                      {".wh.d2"},
                      {".wh.d3"},
                      {"d3/f", AE_IFREG, "x"}}));
  for (const char* file : {"before/f", "after/f", "d2/f", "d3/f"}) {
    EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(dir_ / "root" / file))) << file;
  }
  for (const char* folder : {"d1", "d2", "d3"}) {
    char value = 0;
    EXPECT_EQ(::getxattr((dir_ / "root" / folder).c_str(), "trusted.overlay.opaque", &value, 1), 1)
        << folder << " must hide what lower layers have in it";
  }
}

TEST_F(Unpack, NothingLeavesTheFolder) {
  std::string up = (dir_ / "outside").string();
  fs::create_directories(up);
  EXPECT_FALSE(unpack({{"../outside/a", AE_IFREG, "x"}}));
  EXPECT_FALSE(unpack({{"h", AE_IFREG, "../layer.tar.gz", true}}));
  EXPECT_FALSE(unpack({{".wh..."}}));
  (void)unpack({{"l", AE_IFLNK, up}, {"l/a", AE_IFREG, "x"}});
  (void)unpack({{"m", AE_IFLNK, "../outside"}, {"m/b", AE_IFREG, "x"}});
  EXPECT_TRUE(fs::is_empty(up));
}

TEST_F(Unpack, ALinkIsReplacedNotFollowed) {
  auto victim = dir_ / "victim";
  ASSERT_EQ(::symlink(victim.c_str(), (dir_ / "root/f").c_str()), 0);
  ASSERT_TRUE(unpack({{"f", AE_IFREG, "x"}}));
  EXPECT_FALSE(fs::exists(victim));
  EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(dir_ / "root/f")));
}

TEST_F(Unpack, NamesOutsideAscii) {
  ASSERT_TRUE(unpack({{"caf\xc3\xa9", AE_IFREG, "x"}}));
  EXPECT_TRUE(fs::exists(dir_ / "root" / "caf\xc3\xa9"));
}

TEST_F(Unpack, Limits) {
  auto large = unpack({{"f", AE_IFREG, std::string(1 << 20, 'x')}}, {.bytes = 1 << 16});
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().kind(), Kind::exhausted);
  auto many = unpack({{"a"}, {"b"}, {"c"}}, {.entries = 2});
  ASSERT_FALSE(many);
  EXPECT_EQ(many.error().kind(), Kind::exhausted);
}

TEST_F(Unpack, DamagedArchivesAreErrors) {
  // Found by fuzzing: a header of extended attributes that is cut off, of which libarchive says nothing.
  std::string header(596, '\0');
  header.replace(0, 14, "././@PaxHeader");
  header.replace(100, 8, "0000000");
  header.replace(124, 12, "00000000420");
  header.replace(156, 1, "x");
  header.replace(257, 8,
                 std::string("ustar\0"
                             "00",
                             8));
  header.replace(148, 8, "        ");
  unsigned sum = 0;
  for (size_t i = 0; i < 512; ++i) {
    sum += static_cast<unsigned char>(header[i]);
  }
  header.replace(148, 7, fmt::format("{:06o}", sum) + '\0');
  auto path = (dir_ / "damaged.tar").string();
  auto file = open_file(path, O_RDWR | O_CREAT);
  ASSERT_TRUE(file && write_all(file->get(), header));
  ASSERT_EQ(::lseek(file->get(), 0, SEEK_SET), 0);
  auto done = unpack_layer(file->get(), dir_ / "root", {});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind(), Kind::invalid);
  EXPECT_FALSE(unpack({{"link", AE_IFLNK, ""}}));
}

}  // namespace
}  // namespace keelson::cri::image
