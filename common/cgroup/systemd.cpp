// SPDX-License-Identifier: Apache-2.0
// systemd.h by sd-bus(3).
#include "common/cgroup/systemd.h"

#include <fmt/format.h>

#include <chrono>
#include <map>
#include <memory>

#include <systemd/sd-bus.h>

namespace keelson::cgroup {

namespace {

constexpr const char* kName = "org.freedesktop.systemd1";
constexpr const char* kPath = "/org/freedesktop/systemd1";
constexpr const char* kManager = "org.freedesktop.systemd1.Manager";
constexpr std::chrono::microseconds kPatience = std::chrono::seconds(30);

struct Closer {
  void operator()(sd_bus* bus) const { sd_bus_flush_close_unref(bus); }
  void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
};
using Message = std::unique_ptr<sd_bus_message, Closer>;

Kind kind_of(std::string_view error, int number) {
  if (error.ends_with(".UnitExists")) {
    return Kind::exists;
  }
  return error.ends_with(".NoSuchUnit") ? Kind::not_found : kind_of_errno(number);
}

// One value as its D-Bus type; sd-bus checks it against the signature.
struct Appender {
  sd_bus_message* to;

  int operator()(bool value) const { return sd_bus_message_append(to, "v", "b", static_cast<int>(value)); }
  int operator()(uint64_t value) const { return sd_bus_message_append(to, "v", "t", value); }
  int operator()(const std::string& value) const { return sd_bus_message_append(to, "v", "s", value.c_str()); }
  int operator()(const std::vector<uint8_t>& value) const { return array('y', value.data(), value.size()); }
  int operator()(const std::vector<uint32_t>& value) const { return array('u', value.data(), value.size() * 4); }
  int operator()(const std::vector<std::string>& value) const {
    int done = open("as", "s");
    for (const auto& one : value) {
      done = done < 0 ? done : sd_bus_message_append(to, "s", one.c_str());
    }
    return done < 0 ? done : close();
  }
  int operator()(const std::vector<std::pair<std::string, std::string>>& value) const {
    int done = open("a(ss)", "(ss)");
    for (const auto& [first, second] : value) {
      done = done < 0 ? done : sd_bus_message_append(to, "(ss)", first.c_str(), second.c_str());
    }
    return done < 0 ? done : close();
  }

 private:
  int open(const char* variant, const char* array) const {
    const int done = sd_bus_message_open_container(to, 'v', variant);
    return done < 0 ? done : sd_bus_message_open_container(to, 'a', array);
  }
  int close() const {
    const int done = sd_bus_message_close_container(to);
    return done < 0 ? done : sd_bus_message_close_container(to);
  }
  int array(char type, const void* data, size_t bytes) const {
    const char signature[] = {'a', type, 0};
    int done = sd_bus_message_open_container(to, 'v', signature);
    done = done < 0 ? done : sd_bus_message_append_array(to, type, data, bytes);
    return done < 0 ? done : sd_bus_message_close_container(to);
  }
};

int append(sd_bus_message* to, const std::vector<UnitProperty>& properties) {
  int done = sd_bus_message_open_container(to, 'a', "(sv)");
  for (const auto& [name, value] : properties) {
    done = done < 0 ? done : sd_bus_message_open_container(to, 'r', "sv");
    done = done < 0 ? done : sd_bus_message_append(to, "s", name.c_str());
    done = done < 0 ? done : std::visit(Appender{to}, value);
    done = done < 0 ? done : sd_bus_message_close_container(to);
  }
  return done < 0 ? done : sd_bus_message_close_container(to);
}

/// A connection, and the jobs of systemd that it has heard the end of.
class Call {
 public:
  static Result<std::unique_ptr<Call>> open(const std::string& socket) {
    std::unique_ptr<Call> call(new Call);
    sd_bus* bus = nullptr;
    if (const int made = sd_bus_new(&bus); made < 0) {
      return fail_errno(-made, "talk to systemd");
    }
    call->bus_.reset(bus);
    int done = sd_bus_set_address(bus, ("unix:path=" + socket).c_str());
    done = done < 0 ? done : sd_bus_start(bus);
    done = done < 0 ? done : sd_bus_set_method_call_timeout(bus, kPatience.count());
    done = done < 0
               ? done
               : sd_bus_match_signal(bus, nullptr, nullptr, kPath, kManager, "JobRemoved", job_removed, call.get());
    if (done < 0) {
      return fail(Kind::unavailable, "talk to systemd on {}: {}", socket, errno_text(-done));
    }
    return call;
  }

  Result<Message> message(const char* method) {
    sd_bus_message* made = nullptr;
    const int done = sd_bus_message_new_method_call(bus_.get(), &made, kName, kPath, kManager, method);
    return done < 0 ? Result<Message>(fail_errno(-done, "ask systemd for {}", method)) : Result<Message>(Message(made));
  }

  /// The answer to `request`; `built` is what building it has come to.
  Result<Message> ask(const Message& request, int built, const std::string& what) {
    if (built < 0) {
      return fail_errno(-built, "ask systemd to {}", what);
    }
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message* reply = nullptr;
    const int done = sd_bus_call(bus_.get(), request.get(), 0, &error, &reply);
    if (done < 0) {
      const std::string name = error.name != nullptr ? error.name : "";
      auto failed = fail(kind_of(name, -done), "systemd could not {}: {}", what,
                         error.message != nullptr ? error.message : errno_text(-done));
      sd_bus_error_free(&error);
      return failed;
    }
    return Message(reply);
  }

  /// Waits for the end of the job that `reply` names.
  Result<> await_job(const Message& reply, const std::string& what) {
    const char* job = nullptr;
    if (const int done = sd_bus_message_read(reply.get(), "o", &job); done < 0) {
      return fail_errno(-done, "{}: systemd's answer", what);
    }
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!ended_.contains(job)) {
      const auto left =
          std::chrono::duration_cast<std::chrono::microseconds>(deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0) {
        return fail(Kind::timeout, "systemd did not {} within {} s", what, kPatience / std::chrono::seconds(1));
      }
      int done = sd_bus_process(bus_.get(), nullptr);
      done = done == 0 ? sd_bus_wait(bus_.get(), static_cast<uint64_t>(left.count())) : done;
      if (done < 0 && done != -EINTR) {
        return fail(Kind::unavailable, "wait for systemd to {}: {}", what, errno_text(-done));
      }
    }
    const auto& result = ended_[job];
    return result == "done" ? Result<>() : fail(Kind::internal, "systemd did not {}: the job is {}", what, result);
  }

  sd_bus* bus() { return bus_.get(); }

 private:
  Call() = default;

  static int job_removed(sd_bus_message* signal, void* self, sd_bus_error*) {
    uint32_t id = 0;
    const char* job = nullptr;
    const char* unit = nullptr;
    const char* result = nullptr;
    if (sd_bus_message_read(signal, "uoss", &id, &job, &unit, &result) >= 0) {
      static_cast<Call*>(self)->ended_[job] = result;
    }
    return 0;
  }

  std::unique_ptr<sd_bus, Closer> bus_;
  std::map<std::string, std::string> ended_;  // how, by job
};

}  // namespace

Result<Systemd> Systemd::connect(std::string socket) {
  Systemd systemd(std::move(socket));
  KEELSON_TRY(const auto call, Call::open(systemd.socket_));
  sd_bus_error error = SD_BUS_ERROR_NULL;
  char* version = nullptr;
  const int done = sd_bus_get_property_string(call->bus(), kName, kPath, kManager, "Version", &error, &version);
  const std::unique_ptr<char, decltype(&::free)> text(version, ::free);
  if (done < 0) {
    sd_bus_error_free(&error);
    return fail(Kind::unavailable, "nobody answers on {} ({}); is systemd PID 1?", systemd.socket_, errno_text(-done));
  }
  systemd.version_ = text.get();
  return systemd;
}

Result<> Systemd::start(const std::string& unit, const std::vector<UnitProperty>& properties) const {
  const auto what = "start " + unit;
  KEELSON_TRY(const auto call, Call::open(socket_));
  KEELSON_TRY(const auto request, call->message("StartTransientUnit"));
  int built = sd_bus_message_append(request.get(), "ss", unit.c_str(), "fail");
  built = built < 0 ? built : append(request.get(), properties);
  built = built < 0 ? built : sd_bus_message_append(request.get(), "a(sa(sv))", 0);
  KEELSON_TRY(const auto reply, call->ask(request, built, what));
  return call->await_job(reply, what);
}

Result<> Systemd::set(const std::string& unit, const std::vector<UnitProperty>& properties) const {
  KEELSON_TRY(const auto call, Call::open(socket_));
  KEELSON_TRY(const auto request, call->message("SetUnitProperties"));
  int built = sd_bus_message_append(request.get(), "sb", unit.c_str(), 1);
  built = built < 0 ? built : append(request.get(), properties);
  KEELSON_DO(call->ask(request, built, "set properties of " + unit));
  return {};
}

Result<> Systemd::stop(const std::string& unit) const {
  const auto what = "stop " + unit;
  KEELSON_TRY(const auto call, Call::open(socket_));
  KEELSON_TRY(const auto request, call->message("StopUnit"));
  const int built = sd_bus_message_append(request.get(), "ss", unit.c_str(), "replace");
  auto reply = call->ask(request, built, what);
  if (!reply) {
    return reply.error().kind() == Kind::not_found ? Result<>() : std::unexpected(reply.error());
  }
  KEELSON_DO(call->await_job(*reply, what));
  KEELSON_TRY(const auto reset, call->message("ResetFailedUnit"));
  auto forgotten = call->ask(reset, sd_bus_message_append(reset.get(), "s", unit.c_str()), "forget " + unit);
  return forgotten || forgotten.error().kind() == Kind::not_found ? Result<>() : std::unexpected(forgotten.error());
}

}  // namespace keelson::cgroup
