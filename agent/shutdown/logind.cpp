// SPDX-License-Identifier: Apache-2.0
// logind.h by sd-bus(3).
#include "agent/shutdown/logind.h"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include <atomic>
#include <csignal>
#include <mutex>
#include <thread>

#include <systemd/sd-bus.h>

#include "common/atomic_file.h"
#include "common/fd.h"
#include "common/log.h"

namespace keelson::agent {

namespace {

using std::chrono::microseconds;

constexpr const char* kName = "org.freedesktop.login1";
constexpr const char* kPath = "/org/freedesktop/login1";
constexpr const char* kManager = "org.freedesktop.login1.Manager";
constexpr const char* kDropIn = "99-kubelet.conf";  // the kubelet's, so that there is one of them
constexpr microseconds kPatience = std::chrono::seconds(5);
constexpr int kReloadLooks = 20;
constexpr std::chrono::milliseconds kReloadLook{100};

struct Closer {
  void operator()(sd_bus* bus) const { sd_bus_flush_close_unref(bus); }
  void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
};
using Bus = std::unique_ptr<sd_bus, Closer>;
using Message = std::unique_ptr<sd_bus_message, Closer>;

std::unexpected<Error> refused(int done, sd_bus_error& error, std::string_view what) {
  auto failed = fail(Kind::unavailable, "{}: {}", what, error.message != nullptr ? error.message : errno_text(-done));
  sd_bus_error_free(&error);
  return failed;
}

Result<Bus> open_bus(const std::string& address) {
  sd_bus* bus = nullptr;
  int done = 0;
  if (address.empty()) {
    done = sd_bus_open_system(&bus);
  } else {
    done = sd_bus_new(&bus);
    done = done < 0 ? done : sd_bus_set_address(bus, address.c_str());
    done = done < 0 ? done : sd_bus_set_bus_client(bus, 1);
    done = done < 0 ? done : sd_bus_start(bus);
  }
  Bus opened(bus);
  done = done < 0 ? done : sd_bus_set_method_call_timeout(bus, static_cast<uint64_t>(kPatience.count()));
  if (done < 0) {
    return fail(Kind::unavailable, "the system bus: {}", errno_text(-done));
  }
  return opened;
}

Result<microseconds> granted_delay(sd_bus* bus) {
  sd_bus_error error = SD_BUS_ERROR_NULL;
  uint64_t delay = 0;
  const int done = sd_bus_get_property_trivial(bus, kName, kPath, kManager, "InhibitDelayMaxUSec", &error, 't', &delay);
  if (done < 0) {
    return refused(done, error, "InhibitDelayMaxUSec of systemd-logind");
  }
  return microseconds(delay);
}

/// SIGHUP: it reads its configuration again.
Result<> reload_logind(sd_bus* bus) {
  sd_bus_error error = SD_BUS_ERROR_NULL;
  const int done = sd_bus_call_method(bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                                      "org.freedesktop.systemd1.Manager", "KillUnit", &error, nullptr, "ssi",
                                      "systemd-logind.service", "all", SIGHUP);
  return done < 0 ? Result<>(refused(done, error, "reload systemd-logind")) : Result<>();
}

Result<Fd> inhibit(sd_bus* bus) {
  sd_bus_error error = SD_BUS_ERROR_NULL;
  sd_bus_message* answer = nullptr;
  int done = sd_bus_call_method(bus, kName, kPath, kManager, "Inhibit", &error, &answer, "ssss", "shutdown", "kubelet",
                                "Kubelet needs time to handle node shutdown", "delay");
  if (done < 0) {
    return refused(done, error, "inhibit the machine's shutdown");
  }
  const Message owned(answer);
  int lock = -1;
  done = sd_bus_message_read(answer, "h", &lock);
  if (done < 0) {
    return fail(Kind::unavailable, "the inhibitor of systemd-logind: {}", errno_text(-done));
  }
  return duplicate(lock);  // the message's own goes with it
}

}  // namespace

struct LogindInhibitor::State {
  explicit State(LogindOptions o) : options(std::move(o)), stop(::eventfd(0, EFD_CLOEXEC)) {}

  void run() {
    ::pthread_setname_np(::pthread_self(), "kl-logind");
    while (!stopping) {
      auto watched = watch();
      if (!watched && !std::exchange(told, true)) {
        log::warning("pods are not ended before the machine goes down: {}; trying again", watched.error().message());
      }
      wait_stop(options.retry);
    }
  }

  void wait_stop(std::chrono::milliseconds limit) const {
    pollfd end{.fd = stop.get(), .events = POLLIN, .revents = 0};
    ::poll(&end, 1, static_cast<int>(limit.count()));
  }

  /// Until the connection is lost, or stop.
  Result<> watch() {
    KEELSON_TRY(auto bus, open_bus(options.bus));
    KEELSON_DO(ensure_delay(bus.get()));
    // Before the inhibitor, so that no word of it is missed.
    if (const int done = sd_bus_match_signal(bus.get(), nullptr, kName, kPath, kManager, "PrepareForShutdown",
                                             prepare_for_shutdown, this);
        done < 0) {
      return fail(Kind::unavailable, "watch systemd-logind: {}", errno_text(-done));
    }
    KEELSON_DO(take(bus.get()));
    log::info("a shutdown of the machine waits for pods, up to {} s", options.delay.count());
    told = false;
    return listen(bus.get());
  }

  Result<> listen(sd_bus* bus) {
    while (!stopping) {
      int done = sd_bus_process(bus, nullptr);
      if (done < 0) {
        return fail(Kind::unavailable, "systemd-logind: {}", errno_text(-done));
      }
      if (std::exchange(called_off, false)) {
        KEELSON_DO(take(bus));
      }
      if (done > 0) {
        continue;
      }
      pollfd both[] = {{.fd = sd_bus_get_fd(bus), .events = static_cast<short>(sd_bus_get_events(bus)), .revents = 0},
                       {.fd = stop.get(), .events = POLLIN, .revents = 0}};
      ::poll(both, 2, -1);
    }
    return {};
  }

  Result<> ensure_delay(sd_bus* bus) {
    KEELSON_TRY(auto granted, granted_delay(bus));
    if (granted >= options.delay) {
      return {};
    }
    KEELSON_DO(make_directories(options.config_dir));
    KEELSON_DO(write_file_atomic(
        options.config_dir + "/" + kDropIn,
        fmt::format("# Kubelet logind override\n[Login]\nInhibitDelayMaxSec={}\n", options.delay.count()), 0644));
    KEELSON_DO(reload_logind(bus));
    for (int i = 0; i < kReloadLooks && granted < options.delay && !stopping; ++i) {
      wait_stop(kReloadLook);
      KEELSON_TRY(granted, granted_delay(bus));
    }
    if (granted < options.delay) {
      log::warning("systemd-logind lets a shutdown wait for {} s at most: less than shutdownGracePeriod, {} s",
                   granted / std::chrono::seconds(1), options.delay.count());
    }
    return {};
  }

  Result<> take(sd_bus* bus) {
    KEELSON_TRY(auto taken, inhibit(bus));
    const std::lock_guard guard(mutex);
    lock = std::move(taken);
    return {};
  }

  static int prepare_for_shutdown(sd_bus_message* message, void* self, sd_bus_error*) {
    auto& state = *static_cast<State*>(self);
    int going_down = 0;
    if (const int done = sd_bus_message_read(message, "b", &going_down); done < 0) {
      log::warning("PrepareForShutdown of systemd-logind cannot be read: {}", errno_text(-done));
      return 0;
    }
    state.called_off = going_down == 0;
    state.options.tell(going_down != 0);
    return 0;
  }

  const LogindOptions options;
  const Fd stop;  // readable: end
  std::atomic<bool> stopping = false;
  bool told = false;        // that it cannot be reached
  bool called_off = false;  // so that the inhibitor is to be taken anew
  std::mutex mutex;
  Fd lock;  // closing it lets the machine go on
  std::jthread thread;
};

LogindInhibitor::LogindInhibitor(LogindOptions options) : state_(std::make_unique<State>(std::move(options))) {
  state_->thread = std::jthread([s = state_.get()] { s->run(); });
}

LogindInhibitor::~LogindInhibitor() {
  state_->stopping = true;
  const uint64_t one = 1;
  if (::write(state_->stop.get(), &one, sizeof one) < 0) {
    log::warning("stop the watch of systemd-logind: {}", errno_text(errno));
  }
  state_->thread.join();
}

void LogindInhibitor::release() {
  const std::lock_guard guard(state_->mutex);
  state_->lock = Fd();
}

}  // namespace keelson::agent
