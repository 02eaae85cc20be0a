// SPDX-License-Identifier: Apache-2.0
// records.h.
#include "cri/runtime/records.h"

namespace keelson::cri {

namespace {

constexpr std::string_view kSchema[] = {
    "CREATE TABLE sandboxes(id TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE containers(id TEXT PRIMARY KEY, sandbox TEXT NOT NULL, body BLOB NOT NULL) WITHOUT ROWID",
};

template <class Record>
Result<std::vector<Record>> parse_rows(const std::vector<Store::Row>& rows, std::string_view what) {
  std::vector<Record> records(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!records[i].ParseFromString(bytes_of(rows[i].at(1)))) {
      return fail(Kind::internal, "record of {} {} is damaged", what, text_of(rows[i].at(0)));
    }
  }
  return records;
}

}  // namespace

Result<Records> Records::open(const std::string& state_dir) {
  KEELSON_TRY(auto store, Store::open(state_dir + "/runtime.db", kSchema));
  return Records(std::move(store));
}

Result<> Records::save(const SandboxRecord& record) {
  return store_->run("INSERT OR REPLACE INTO sandboxes VALUES(?,?)", {record.id(), Blob{record.SerializeAsString()}});
}

Result<> Records::save(const ContainerRecord& record) {
  return store_->run("INSERT OR REPLACE INTO containers VALUES(?,?,?)",
                     {record.id(), record.sandbox_id(), Blob{record.SerializeAsString()}});
}

Result<> Records::remove_sandbox(const std::string& id) {
  return store_->run("DELETE FROM sandboxes WHERE id=?", {id});
}

Result<> Records::remove_container(const std::string& id) {
  return store_->run("DELETE FROM containers WHERE id=?", {id});
}

Result<Records::All> Records::load() {
  All all;
  KEELSON_TRY(const auto sandboxes, store_->query("SELECT id, body FROM sandboxes"));
  KEELSON_TRY(all.sandboxes, parse_rows<SandboxRecord>(sandboxes, "sandbox"));
  KEELSON_TRY(const auto containers, store_->query("SELECT id, body FROM containers"));
  KEELSON_TRY(all.containers, parse_rows<ContainerRecord>(containers, "container"));
  return all;
}

}  // namespace keelson::cri
