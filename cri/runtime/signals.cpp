// SPDX-License-Identifier: Apache-2.0
// signals.h.
#include "cri/runtime/signals.h"

#include <signal.h>

#include <algorithm>
#include <charconv>
#include <string>

namespace keelson::cri {

namespace {

// CRI names its values after the signals, real-time ones as SIGRTMINPLUS3 and SIGRTMAXMINUS2.
int number_of_cri_name(std::string_view name) {
  const auto offset = [&](std::string_view prefix) {
    int value = 0;
    const auto digits = name.substr(prefix.size());
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return value;
  };
  if (name.starts_with("RTMINPLUS")) {
    return 34 + offset("RTMINPLUS");
  }
  if (name.starts_with("RTMAXMINUS")) {
    return 64 - offset("RTMAXMINUS");
  }
  if (name == "RTMIN" || name == "RTMAX") {
    return name == "RTMIN" ? 34 : 64;
  }
  if (name == "CLD" || name == "POLL" || name == "IOT") {  // old names that sigabbrev_np does not give
    return name == "CLD" ? SIGCHLD : name == "POLL" ? SIGIO : SIGABRT;
  }
  for (int number = 1; number < 32; ++number) {
    const char* abbreviation = ::sigabbrev_np(number);
    if (abbreviation && name == abbreviation) {
      return number;
    }
  }
  return name == "IO" ? SIGIO : 0;
}

}  // namespace

Result<int> signal_of_name(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) {
    if (number < 1 || number > 64) {
      return fail(Kind::invalid, "signal {} is not in 1..64", text);
    }
    return number;
  }
  std::string name(text);
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (name.starts_with("SIG")) {
    name.erase(0, 3);
  }
  if (const auto sign = name.find_first_of("+-"); name.starts_with("RT") && sign != std::string::npos) {
    name.replace(sign, 1, name[sign] == '+' ? "PLUS" : "MINUS");
  }
  number = number_of_cri_name(name);
  if (number == 0) {
    return fail(Kind::invalid, "unknown signal \"{}\"", text);
  }
  return number;
}

int signal_number(::runtime::v1::Signal signal) {
  constexpr std::string_view kPrefix = "SIGNAL_SIG";
  const std::string& name = ::runtime::v1::Signal_Name(signal);
  return name.starts_with(kPrefix) ? number_of_cri_name(std::string_view(name).substr(kPrefix.size())) : 0;
}

::runtime::v1::Signal cri_signal(int number) {
  using ::runtime::v1::Signal;
  for (int value = ::runtime::v1::Signal_MIN; number != 0 && value <= ::runtime::v1::Signal_MAX; ++value) {
    if (signal_number(static_cast<Signal>(value)) == number) {
      return static_cast<Signal>(value);
    }
  }
  return ::runtime::v1::RUNTIME_DEFAULT;
}

}  // namespace keelson::cri
