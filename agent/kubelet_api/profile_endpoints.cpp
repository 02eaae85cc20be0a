// SPDX-License-Identifier: Apache-2.0
#include "agent/kubelet_api/profile_endpoints.h"

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "common/fd.h"
#include "metrics/profile.h"
#include "metrics/symbols.h"

namespace keelson::agent {

namespace {

constexpr std::chrono::milliseconds kPeriod{10};
constexpr int64_t kUsual = 30;
constexpr int64_t kLongest = 300;
constexpr size_t kMostSamples = 65'536;

constexpr const char* kIndex = R"(/debug/pprof/

profile?seconds=30          where CPU time goes, for `go tool pprof`
profile?seconds=30&debug=1  the same as folded stacks, for flame graphs
heap                        what malloc holds
threads                     what each thread does
cmdline                     how the process was started
)";

http::Response binary(std::string body) {
  return {.type = "application/octet-stream", .body = std::move(body)};
}

Result<int64_t> seconds_of(const http::Target& target) {
  const auto text = target.text("seconds");
  int64_t seconds = kUsual;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (!text.empty() &&
      (error != std::errc() || end != text.data() + text.size() || seconds < 1 || seconds > kLongest)) {
    return fail(Kind::invalid, "seconds={}: not a whole number from 1 to {}", text, kLongest);
  }
  return seconds;
}

std::string heap_text() {
  const struct mallinfo2 info = ::mallinfo2();
  std::string text = fmt::format(
      "in use       {:>12} bytes\nfree         {:>12} bytes\nby mmap      {:>12} bytes in {} pieces\nof the "
      "kernel{:>12} "
      "bytes\n\n",
      info.uordblks, info.fordblks, info.hblkhd, info.hblks, info.arena);
  char* details = nullptr;
  size_t size = 0;
  if (FILE* stream = ::open_memstream(&details, &size)) {
    ::malloc_info(0, stream);
    ::fclose(stream);
    text.append(details, size);
    std::free(details);
  }
  return text;
}

std::string line_of(std::string text) {
  text.erase(std::min(text.find('\n'), text.size()));
  return text;
}

/// By number: the first is the one that the process began with.
std::string threads_text() {
  std::string text = fmt::format("{:>8}  {:<16}  {:<5}  {}\n", "thread", "name", "state", "waits in");
  std::vector<std::string> threads;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task", ignored)) {
    threads.push_back(entry.path().filename());
  }
  std::ranges::sort(threads, {}, [](const std::string& one) { return std::pair(one.size(), one); });
  for (const auto& thread : threads) {
    const auto folder = "/proc/self/task/" + thread;
    const auto stat = read_file(folder + "/stat").value_or("");
    const auto behind = stat.rfind(") ");
    text += fmt::format("{:>8}  {:<16}  {:<5}  {}\n", thread, line_of(read_file(folder + "/comm").value_or("")),
                        behind != stat.npos ? stat.substr(behind + 2, 1) : "?",
                        line_of(read_file(folder + "/wchan").value_or("")));
  }
  return text;
}

}  // namespace

struct ProfileEndpoints::State {
  Task<http::Response> profile(http::Request request) {
    KEELSON_CO_TRY(const int64_t seconds, seconds_of(request.target));
    const bool folded = request.target.flag("debug");
    const auto most = static_cast<size_t>(seconds) * (std::chrono::seconds(1) / kPeriod) * 64;
    metrics::CpuProfile taken{.period = kPeriod, .at = loop.clock().wall()};
    const SteadyTime began = loop.clock().steady();
    KEELSON_CO_TRY(const auto sampler, metrics::CpuSampler::start(kPeriod, std::min(most, kMostSamples)));
    KEELSON_CO_DO(co_await loop.sleep(std::chrono::seconds(seconds)));
    taken.samples = sampler->stop();
    taken.length = loop.clock().steady() - began;
    auto write = [taken = std::move(taken), folded]() -> Result<std::string> {
      const metrics::Symbols symbols;
      const auto name_of = [&symbols](uintptr_t address) { return symbols.name_of(address); };
      return folded ? metrics::folded_profile(taken, name_of) : metrics::pprof_profile(taken, name_of);
    };
    KEELSON_CO_TRY(auto body, co_await blocking(worker, std::move(write)));
    co_return folded ? http::text(std::move(body)) : binary(std::move(body));
  }

  Task<http::Response> read(Result<std::string> (*what)()) {
    KEELSON_CO_TRY(auto body, co_await blocking(worker, what));
    co_return http::text(std::move(body));
  }

  Loop& loop;
  const bool enabled;
  asio::thread_pool worker{1};
};

ProfileEndpoints::ProfileEndpoints(Loop& loop, bool enabled) : state_(new State{.loop = loop, .enabled = enabled}) {}
ProfileEndpoints::~ProfileEndpoints() = default;

Task<std::optional<http::Response>> ProfileEndpoints::answer(http::Request request) {
  const auto& path = request.target.path;
  if (path.size() < 2 || path[0] != "debug" || path[1] != "pprof" || path.size() > 3) {
    co_return std::nullopt;
  }
  if (!state_->enabled) {
    co_return http::text("profiling endpoint is disabled.\n", 405);
  }
  if (request.method != "GET") {
    co_return http::text("Method Not Allowed\n", 405);
  }
  const std::string what = path.size() > 2 ? path[2] : "";
  std::optional<Task<http::Response>> work;
  if (what.empty()) {
    co_return http::text(kIndex);
  }
  if (what == "profile") {
    work = state_->profile(std::move(request));
  } else if (what == "heap") {
    work = state_->read([]() -> Result<std::string> { return heap_text(); });
  } else if (what == "threads") {
    work = state_->read([]() -> Result<std::string> { return threads_text(); });
  } else if (what == "cmdline") {
    work = state_->read([]() -> Result<std::string> { return read_file("/proc/self/cmdline"); });
  } else {
    co_return http::text(fmt::format("Unknown profile: {}\n", what), 404);
  }
  KEELSON_CO_TRY(auto response, co_await *std::move(work));
  co_return std::optional(std::move(response));
}

}  // namespace keelson::agent
