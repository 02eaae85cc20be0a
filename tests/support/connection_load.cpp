// SPDX-License-Identifier: Apache-2.0
#include "tests/support/connection_load.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <thread>

namespace keelson::testing {
namespace {

namespace fs = std::filesystem;

void wait_until_ready(const std::string& file) {
  auto is_ready = [&] { return read_text(file).find("ready\n") != std::string::npos; };
  for (int i = 0; i < 6000 && !is_ready(); i++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(is_ready()) << file << ":\n" << read_text(file);
}

}  // namespace

std::string connection_load_program() {
  return fs::absolute(std::getenv("KEELSON_BIN")).parent_path() / "test" / "connection-load";
}

ConnectionServer::ConnectionServer(const ebpf::testing::SmallNet& net, const std::string& ns,
                                   const std::string& address, uint16_t port, const fs::path& folder) {
  auto text = std::to_string(port), file = (folder / ("served-by-" + ns + "-" + text)).string();
  process_ = Background({"nsenter", "--net=" + net.path(ns), connection_load_program(), "serve", address, text}, file);
  wait_until_ready(file);
}

ConnectionLoad::ConnectionLoad(const ebpf::testing::SmallNet& net, const std::string& ns, LoadSize size,
                               const std::string& to, const fs::path& folder, const std::string& cgroup)
    : ConnectionLoad(ns + " to " + to,
                     {"nsenter", "--net=" + net.path(ns), "sh", "-c",
                      (cgroup.empty() ? "" : "echo $$ > " + cgroup + "/cgroup.procs; ") + "exec \"$0\" \"$@\""},
                     size, to, folder / ("load-of-" + ns)) {}

ConnectionLoad::ConnectionLoad(LoadSize size, const std::string& to, const fs::path& folder)
    : ConnectionLoad("to " + to, {}, size, to, folder / "load") {}

ConnectionLoad::ConnectionLoad(std::string name, std::vector<std::string> enter, LoadSize size, const std::string& to,
                               std::string file)
    : name_(std::move(name)), file_(std::move(file)) {
  const auto space = to.find(' ');
  enter.insert(enter.end(), {connection_load_program(), "drive", std::to_string(size.open), std::to_string(size.rate),
                             to.substr(0, space), to.substr(space + 1)});
  process_ = Background(enter, file_);
  wait_until_ready(file_);
}

std::string ConnectionLoad::end() {
  if (int code = process_.stop(); code != 0) {
    return "ended with " + std::to_string(code) + ": " + read_text(file_);
  }
  auto text = read_text(file_);
  auto lines = text.find("ready\n") + 6, counts = text.find("opened ");
  if (counts == text.npos) {
    return "no counts: " + text;
  }
  std::cout << name_ << ": " << text.substr(counts);
  return text.substr(lines, counts - lines);
}

}  // namespace keelson::testing
