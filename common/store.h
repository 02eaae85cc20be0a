// SPDX-License-Identifier: Apache-2.0
// Metadata that outlives the process: one SQLite file, one owner, a schema with a version.
//
//   constexpr std::string_view kSchema[] = {"CREATE TABLE pods(id TEXT PRIMARY KEY, body BLOB) WITHOUT ROWID"};
//   KEELSON_TRY(auto store, Store::open(dir + "/pods.db", kSchema));
//   KEELSON_DO(store->run("INSERT OR REPLACE INTO pods VALUES(?,?)", {id, Blob{body}}));
//   KEELSON_TRY(auto rows, store->query("SELECT id, body FROM pods"));
//
// Write-ahead log with synchronous=NORMAL: a committed write survives kill -9 of us at once, and a power cut once the
// log was checkpointed; the file is never torn. So a write costs some 20 microseconds and no fsync.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/result.h"

namespace keelson {

/// Bytes, where a std::string is text.
struct Blob {
  std::string bytes;
};

/// One SQLite file held by this process alone. Thread-safe: calls take turns.
class Store {
 public:
  using Value = std::variant<std::monostate, int64_t, std::string, Blob>;
  using Row = std::vector<Value>;

  /// Opens or makes the file (0600; its folder must exist) and brings its schema from version n (PRAGMA user_version)
  /// to `steps.size()` by running steps[n..] in one transaction. Never edit a step that was released: add one. Errors:
  /// conflict (another process holds it, or a newer Keelson wrote it), internal (damaged file, disk).
  static Result<std::unique_ptr<Store>> open(const std::string& path, std::span<const std::string_view> steps);
  virtual ~Store() = default;

  /// Runs one statement that returns no rows. `sql` is prepared once and kept: pass literals, and values by `?`.
  virtual Result<> run(std::string_view sql, std::initializer_list<Value> values = {}) = 0;
  /// Runs one statement and returns all its rows.
  virtual Result<std::vector<Row>> query(std::string_view sql, std::initializer_list<Value> values = {}) = 0;
  /// All that `work` does is written, or, when it returns an error, none of it. Calls of run() and query() inside are
  /// by the same thread; other threads wait. Does not nest.
  virtual Result<> transaction(const std::function<Result<>()>& work) = 0;

 protected:
  Store() = default;
};

/// The column's value; the empty value of its type if the column is null or of another type.
int64_t integer_of(const Store::Value& value);
std::string text_of(const Store::Value& value);
std::string bytes_of(const Store::Value& value);

}  // namespace keelson
