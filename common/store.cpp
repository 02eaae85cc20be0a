// SPDX-License-Identifier: Apache-2.0
// store.h over SQLite.
#include "common/store.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include <map>
#include <mutex>

namespace keelson {

namespace {

std::unexpected<Error> fail_sqlite(sqlite3* db, int code, std::string_view what) {
  const int primary = code & 0xff;
  auto kind = Kind::internal;
  if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED) {
    kind = Kind::conflict;
  } else if (primary == SQLITE_FULL) {
    kind = Kind::exhausted;
  } else if (primary == SQLITE_CONSTRAINT) {
    kind = Kind::exists;
  } else if (primary == SQLITE_CANTOPEN) {
    kind = Kind::invalid;
  }
  return std::unexpected(
      Error(kind, fmt::format("{}: {}", what, db ? sqlite3_errmsg(db) : sqlite3_errstr(code)), code));
}

class SqliteStore final : public Store {
 public:
  SqliteStore(std::string path, sqlite3* db) : path_(std::move(path)), db_(db) {}
  ~SqliteStore() override {
    for (auto& [sql, statement] : statements_) {
      sqlite3_finalize(statement);
    }
    sqlite3_close(db_);
  }

  Result<> prepare_schema(std::span<const std::string_view> steps) {
    for (const char* pragma : {"PRAGMA locking_mode=EXCLUSIVE", "PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL",
                               "PRAGMA cache_size=-512", "PRAGMA journal_size_limit=4194304"}) {
      KEELSON_DO(script(pragma));
    }
    // The first write takes the lock that is then kept: a second process is refused here, not in the middle of its
    // work.
    KEELSON_DO(script("BEGIN IMMEDIATE"));
    auto done = migrate(steps);
    KEELSON_DO(script(done ? "COMMIT" : "ROLLBACK"));
    return done;
  }

  Result<> run(std::string_view sql, std::initializer_list<Value> values) override {
    const std::scoped_lock lock(mutex_);
    KEELSON_TRY(auto* statement, bound(sql, values));
    const int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    if (code != SQLITE_DONE && code != SQLITE_ROW) {
      return fail_sqlite(db_, code, path_);
    }
    return {};
  }

  Result<std::vector<Row>> query(std::string_view sql, std::initializer_list<Value> values) override {
    const std::scoped_lock lock(mutex_);
    KEELSON_TRY(auto* statement, bound(sql, values));
    std::vector<Row> rows;
    int code = 0;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
      Row row;
      for (int i = 0; i < sqlite3_column_count(statement); ++i) {
        row.push_back(column(statement, i));
      }
      rows.push_back(std::move(row));
    }
    sqlite3_reset(statement);
    if (code != SQLITE_DONE) {
      return fail_sqlite(db_, code, path_);
    }
    return rows;
  }

  Result<> transaction(const std::function<Result<>()>& work) override {
    const std::scoped_lock lock(mutex_);
    KEELSON_DO(script("BEGIN IMMEDIATE"));
    auto done = work();
    auto closed = script(done ? "COMMIT" : "ROLLBACK");
    return done ? closed : done;
  }

 private:
  Result<> migrate(std::span<const std::string_view> steps) {
    KEELSON_TRY(auto rows, query("PRAGMA user_version", {}));
    const auto version = static_cast<size_t>(integer_of(rows.at(0).at(0)));
    if (version > steps.size()) {
      return fail(Kind::conflict, "{}: schema version {} was written by a newer Keelson; this one knows up to {}",
                  path_, version, steps.size());
    }
    for (const auto& step : steps.subspan(version)) {
      KEELSON_DO(script(std::string(step)));
    }
    return script(fmt::format("PRAGMA user_version={}", steps.size()));
  }

  Result<> script(const std::string& sql) {
    const int code = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) {
      return fail_sqlite(db_, code, path_);
    }
    return {};
  }

  Result<sqlite3_stmt*> bound(std::string_view sql, std::initializer_list<Value> values) {
    auto& statement = statements_[std::string(sql)];
    if (!statement) {
      const int code = sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                          &statement, nullptr);
      if (code != SQLITE_OK) {
        return fail_sqlite(db_, code, fmt::format("{}: {}", path_, sql));
      }
    }
    sqlite3_clear_bindings(statement);
    int index = 0;
    for (const auto& value : values) {
      ++index;
      if (const auto* number = std::get_if<int64_t>(&value)) {
        sqlite3_bind_int64(statement, index, *number);
      } else if (const auto* text = std::get_if<std::string>(&value)) {
        sqlite3_bind_text64(statement, index, text->data(), text->size(), SQLITE_TRANSIENT, SQLITE_UTF8);
      } else if (const auto* blob = std::get_if<Blob>(&value)) {
        sqlite3_bind_blob64(statement, index, blob->bytes.data(), blob->bytes.size(), SQLITE_TRANSIENT);
      }
    }
    return statement;
  }

  static Value column(sqlite3_stmt* statement, int index) {
    const auto bytes = [&](const void* data) {
      return std::string(static_cast<const char*>(data), static_cast<size_t>(sqlite3_column_bytes(statement, index)));
    };
    switch (sqlite3_column_type(statement, index)) {
      case SQLITE_INTEGER:
        return static_cast<int64_t>(sqlite3_column_int64(statement, index));
      case SQLITE_TEXT:
        return bytes(sqlite3_column_text(statement, index));
      case SQLITE_BLOB: {
        const auto* data = sqlite3_column_blob(statement, index);
        return Blob{data ? bytes(data) : std::string()};
      }
      default:
        return std::monostate();
    }
  }

  const std::string path_;
  sqlite3* const db_;
  std::recursive_mutex mutex_;  // recursive for run() inside transaction()
  std::map<std::string, sqlite3_stmt*, std::less<>> statements_;
};

}  // namespace

Result<std::unique_ptr<Store>> Store::open(const std::string& path, std::span<const std::string_view> steps) {
  sqlite3* db = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  auto store = std::make_unique<SqliteStore>(path, db);
  if (code != SQLITE_OK) {
    return fail_sqlite(db, code, fmt::format("open {}", path));
  }
  ::chmod(path.c_str(), 0600);
  KEELSON_DO(store->prepare_schema(steps));
  return store;
}

int64_t integer_of(const Store::Value& value) {
  const auto* number = std::get_if<int64_t>(&value);
  return number ? *number : 0;
}

std::string text_of(const Store::Value& value) {
  const auto* text = std::get_if<std::string>(&value);
  return text ? *text : std::string();
}

std::string bytes_of(const Store::Value& value) {
  const auto* blob = std::get_if<Blob>(&value);
  return blob ? blob->bytes : std::string();
}

}  // namespace keelson
