// SPDX-License-Identifier: Apache-2.0
#include "tests/support/login1.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include <systemd/sd-bus.h>

#include "common/fd.h"
#include "tests/support/process.h"

namespace keelson::testing {

namespace {

constexpr const char* kDaemon = "/usr/bin/dbus-daemon";
constexpr const char* kPath = "/org/freedesktop/login1";
constexpr const char* kManager = "org.freedesktop.login1.Manager";

struct Inhibitor {
  std::string what;
  Fd held;  // the other end of what its owner has
};

}  // namespace

struct Login1::State {
  std::string home;
  std::string config_dir;
  std::atomic<uint64_t> delay_usec = 0;
  Background daemon;
  sd_bus* bus = nullptr;
  mutable std::mutex mutex;
  std::vector<Inhibitor> inhibitors;
  std::vector<bool> signals;  // to be sent
  Fd wake{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::atomic<bool> stopping = false;
  std::jthread thread;

  std::string socket() const { return home + "/bus"; }

  void start_daemon() {
    std::ofstream(home + "/bus.conf") << fmt::format(
        "<busconfig><listen>unix:path={}</listen><auth>EXTERNAL</auth>"
        "<policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>"
        "<allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>",
        socket());
    daemon = Background({kDaemon, "--config-file=" + home + "/bus.conf", "--nofork", "--nopidfile"},
                        home + "/dbus-daemon.log");
    for (int i = 0; i < 6000 && !takes_connections(socket()); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }

  void connect();
  void run();
  void poke() const {
    const uint64_t one = 1;
    ASSERT_EQ(::write(wake.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
  }

  static int get_delay(sd_bus*, const char*, const char*, const char*, sd_bus_message* reply, void* self,
                       sd_bus_error*) {
    return sd_bus_message_append(reply, "t", static_cast<State*>(self)->delay_usec.load());
  }
  static int inhibit(sd_bus_message* call, void* self, sd_bus_error*) {
    auto& state = *static_cast<State*>(self);
    const char *what = nullptr, *who = nullptr, *why = nullptr, *mode = nullptr;
    if (const int done = sd_bus_message_read(call, "ssss", &what, &who, &why, &mode); done < 0) {
      return done;
    }
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) < 0) {
      return -errno;
    }
    const Fd theirs(ends[1]);
    {
      const std::lock_guard guard(state.mutex);
      state.inhibitors.push_back({fmt::format("{} {} {}", what, who, mode), Fd(ends[0])});
    }
    return sd_bus_reply_method_return(call, "h", theirs.get());
  }
  static int kill_unit(sd_bus_message* call, void* self, sd_bus_error*) {
    auto& state = *static_cast<State*>(self);
    const auto config = read_text(state.config_dir + "/99-kubelet.conf");
    constexpr std::string_view kKey = "InhibitDelayMaxSec=";
    if (const size_t at = config.find(kKey); at != std::string::npos) {
      state.delay_usec = std::stoull(config.substr(at + kKey.size())) * 1'000'000;
    }
    return sd_bus_reply_method_return(call, "");
  }
};

void Login1::State::connect() {
  static const sd_bus_vtable kLogin[] = {
      SD_BUS_VTABLE_START(0), SD_BUS_PROPERTY("InhibitDelayMaxUSec", "t", &State::get_delay, 0, 0),
      SD_BUS_METHOD("Inhibit", "ssss", "h", &State::inhibit, SD_BUS_VTABLE_UNPRIVILEGED),
      SD_BUS_SIGNAL("PrepareForShutdown", "b", 0), SD_BUS_VTABLE_END};
  static const sd_bus_vtable kSystemd[] = {
      SD_BUS_VTABLE_START(0), SD_BUS_METHOD("KillUnit", "ssi", "", &State::kill_unit, SD_BUS_VTABLE_UNPRIVILEGED),
      SD_BUS_VTABLE_END};
  ASSERT_GE(sd_bus_new(&bus), 0);
  ASSERT_GE(sd_bus_set_address(bus, ("unix:path=" + socket()).c_str()), 0);
  ASSERT_GE(sd_bus_set_bus_client(bus, 1), 0);
  ASSERT_GE(sd_bus_start(bus), 0);
  ASSERT_GE(sd_bus_add_object_vtable(bus, nullptr, kPath, kManager, kLogin, this), 0);
  ASSERT_GE(sd_bus_add_object_vtable(bus, nullptr, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
                                     kSystemd, this),
            0);
  ASSERT_GE(sd_bus_request_name(bus, "org.freedesktop.login1", 0), 0);
  ASSERT_GE(sd_bus_request_name(bus, "org.freedesktop.systemd1", 0), 0);
}

void Login1::State::run() {
  while (!stopping) {
    std::vector<bool> sending;
    {
      const std::lock_guard guard(mutex);
      sending = std::exchange(signals, {});
    }
    for (const bool going_down : sending) {
      sd_bus_emit_signal(bus, kPath, kManager, "PrepareForShutdown", "b", static_cast<int>(going_down));
    }
    if (sd_bus_process(bus, nullptr) > 0) {
      continue;
    }
    pollfd both[] = {{.fd = sd_bus_get_fd(bus), .events = static_cast<short>(sd_bus_get_events(bus)), .revents = 0},
                     {.fd = wake.get(), .events = POLLIN, .revents = 0}};
    ::poll(both, 2, -1);
    uint64_t ignored = 0;
    [[maybe_unused]] const auto drained = ::read(wake.get(), &ignored, sizeof ignored);
  }
}

bool Login1::available() {
  return ::access(kDaemon, X_OK) == 0;
}

Login1::Login1(std::string home, std::chrono::seconds delay, std::string config_dir)
    : state_(std::make_unique<State>()) {
  state_->home = std::move(home);
  state_->config_dir = std::move(config_dir);
  state_->delay_usec = static_cast<uint64_t>(std::chrono::microseconds(delay).count());
  state_->start_daemon();
  state_->connect();
  state_->thread = std::jthread([s = state_.get()] { s->run(); });
}

Login1::~Login1() {
  state_->stopping = true;
  state_->poke();
  state_->thread.join();
  sd_bus_flush_close_unref(state_->bus);
}

std::string Login1::address() const {
  return "unix:path=" + state_->socket();
}

std::vector<std::string> Login1::inhibitors() const {
  const std::lock_guard guard(state_->mutex);
  std::vector<std::string> held;
  for (const auto& inhibitor : state_->inhibitors) {
    pollfd end{.fd = inhibitor.held.get(), .events = 0, .revents = 0};
    if (::poll(&end, 1, 0) == 0) {  // POLLHUP: nobody has the other end any more
      held.push_back(inhibitor.what);
    }
  }
  return held;
}

void Login1::prepare_for_shutdown(bool going_down) {
  {
    const std::lock_guard guard(state_->mutex);
    state_->signals.push_back(going_down);
  }
  state_->poke();
}

}  // namespace keelson::testing
