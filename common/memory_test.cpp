// SPDX-License-Identifier: Apache-2.0
#include "common/memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include "common/fd.h"

namespace keelson {
namespace {

size_t resident_pages(const void* at) {
  std::string text = *read_file("/proc/self/smaps");
  char start[32];
  std::snprintf(start, sizeof start, "%lx-", reinterpret_cast<unsigned long>(at));
  auto found = text.find(start);
  auto rss = text.find("\nRss:", found);
  return std::stoul(text.substr(rss + 5)) / 4;
}

TEST(Memory, UnwrittenFilePagesGoAndWrittenOnesStay) {
  constexpr size_t kSize = 64 * 4096;
  auto fd = open_file("/proc/self/exe", O_RDONLY);
  ASSERT_TRUE(fd);
  auto map = [&](int protection) {
    return static_cast<char*>(::mmap(nullptr, kSize, protection, MAP_PRIVATE, fd->get(), 0));
  };
  char* clean = map(PROT_READ);
  char* written = map(PROT_READ | PROT_WRITE);
  char before = clean[5000];
  written[0] = 'x';
  ASSERT_EQ(::mprotect(written, kSize, PROT_READ), 0) << "as the linker does with relocations";
  ASSERT_GT(resident_pages(clean), 0U);
  ASSERT_TRUE(release_startup_memory());
  EXPECT_EQ(resident_pages(clean), 0U);
  EXPECT_EQ(written[0], 'x');
  EXPECT_EQ(clean[5000], before) << "read again from the file";
  ::munmap(clean, kSize);
  ::munmap(written, kSize);
}

}  // namespace
}  // namespace keelson
