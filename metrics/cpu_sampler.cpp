// SPDX-License-Identifier: Apache-2.0
#include "metrics/cpu_sampler.h"

#include <execinfo.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <thread>

namespace keelson::metrics {

namespace {

constexpr int kDeepest = 62;
constexpr int kOwnFrames = 2;  // the handler, and the kernel's way into it

struct Slot {
  pid_t thread = 0;
  int depth = 0;
  std::array<void*, kDeepest> frames{};
};

// What the signal handler may touch: made before the timer runs, freed when no handler does.
std::atomic<bool> in_use = false;
std::atomic<bool> taking = false;
std::atomic<int> handlers = 0;
std::atomic<size_t> next = 0;
std::vector<Slot> slots;

void take_sample(int) {
  const int before = errno;
  handlers.fetch_add(1);
  if (taking.load()) {
    if (const size_t mine = next.fetch_add(1); mine < slots.size()) {
      Slot& slot = slots[mine];
      slot.depth = ::backtrace(slot.frames.data(), kDeepest);
      slot.thread = static_cast<pid_t>(::syscall(SYS_gettid));
    }
  }
  handlers.fetch_sub(1);
  errno = before;
}

void set_timer(Duration period) {
  const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(period).count();
  const timeval every{.tv_sec = microseconds / 1'000'000, .tv_usec = microseconds % 1'000'000};
  const itimerval timer{.it_interval = every, .it_value = every};
  ::setitimer(ITIMER_PROF, &timer, nullptr);
}

void end_sampling() {
  set_timer(Duration(0));
  taking = false;
  while (handlers.load() > 0) {
    std::this_thread::yield();
  }
}

}  // namespace

Result<std::unique_ptr<CpuSampler>> CpuSampler::start(Duration period, size_t most) {
  if (in_use.exchange(true)) {
    return fail(Kind::conflict, "a CPU profile is being taken already; ask again when it has ended");
  }
  void* one = nullptr;
  ::backtrace(&one, 1);  // what it loads the first time is not for a signal handler
  slots.assign(most, Slot());
  next = 0;
  taking = true;
  // The handler stays: a last signal may come after the timer has ended.
  struct sigaction action{};
  action.sa_handler = take_sample;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  if (::sigaction(SIGPROF, &action, nullptr) != 0) {
    in_use = false;
    return fail_errno(errno, "SIGPROF");
  }
  set_timer(period);
  return std::unique_ptr<CpuSampler>(new CpuSampler());
}

CpuSampler::~CpuSampler() {
  end_sampling();
  slots = {};
  in_use = false;
}

std::vector<StackSample> CpuSampler::stop() {
  end_sampling();
  std::vector<StackSample> samples;
  for (size_t i = 0; i < std::min(next.load(), slots.size()); ++i) {
    const Slot& slot = slots[i];
    StackSample sample{.thread = slot.thread, .addresses = {}};
    for (int frame = kOwnFrames; frame < slot.depth; ++frame) {
      sample.addresses.push_back(reinterpret_cast<uintptr_t>(slot.frames[static_cast<size_t>(frame)]));
    }
    samples.push_back(std::move(sample));
  }
  return samples;
}

}  // namespace keelson::metrics
