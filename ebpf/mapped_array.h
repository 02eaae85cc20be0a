// SPDX-License-Identifier: Apache-2.0
// A BPF array map in this process's memory (BPF_F_MMAPABLE): programs see a store at once, no system call is made.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "common/result.h"

namespace keelson::ebpf {

/// `Row` has the size of the map's values, a multiple of 8 (or all of 4 bytes). One thread at a time; programs read
/// concurrently, so what they follow (a pool, a name) is stored whole by store(). Moves, does not copy.
template <class Row>
class MappedArray {
 public:
  /// Does not keep the descriptor. `name` is for the error.
  static Result<MappedArray> map(int fd, uint32_t rows, const char* name) {
    // The kernel rounds each value up to 8 bytes.
    auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    size_t bytes = (rows * kStride + page - 1) / page * page;
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
      return fail_errno(errno, "map {} of {} rows into memory", name, rows);
    }
    return MappedArray(static_cast<std::byte*>(memory), bytes, rows);
  }
  MappedArray(MappedArray&& other) noexcept
      : memory_(std::exchange(other.memory_, nullptr)), bytes_(other.bytes_), rows_(other.rows_) {}
  MappedArray& operator=(MappedArray&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(bytes_, other.bytes_);
    std::swap(rows_, other.rows_);
    return *this;
  }
  ~MappedArray() {
    if (memory_) {
      munmap(memory_, bytes_);
    }
  }

  uint32_t size() const { return rows_; }
  Row& operator[](uint32_t row) { return *reinterpret_cast<Row*>(memory_ + row * kStride); }
  const Row& operator[](uint32_t row) const { return *reinterpret_cast<const Row*>(memory_ + row * kStride); }

 private:
  static constexpr size_t kStride = (sizeof(Row) + 7) / 8 * 8;
  MappedArray(std::byte* memory, size_t bytes, uint32_t rows) : memory_(memory), bytes_(bytes), rows_(rows) {}
  std::byte* memory_;
  size_t bytes_;
  uint32_t rows_;
};

/// Programs see `value` whole, and whatever was stored before it.
template <class T>
void store(T& to, T value) {
  __atomic_store_n(&to, value, __ATOMIC_RELEASE);
}

}  // namespace keelson::ebpf
