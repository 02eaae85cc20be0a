// SPDX-License-Identifier: Apache-2.0
// Errors as values: Error, Result<T>, and the macros that pass an error up.
#pragma once

#include <fmt/core.h>

#include <cerrno>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace keelson {

/// What a caller may branch on. Mapped once to gRPC codes (cri), CNI codes (cni) and exit codes (cmd).
enum class Kind {
  invalid,      ///< The input is wrong and stays wrong: fix it.
  not_found,    ///< The named object is not there.
  exists,       ///< The named object is already there.
  permission,   ///< We, or the caller, may not.
  unavailable,  ///< Not now: a peer is away or not ready; a retry may work.
  timeout,      ///< A deadline passed.
  exhausted,    ///< A limit, a pool or a disk is full.
  conflict,     ///< The object is in a state that forbids this.
  unsupported,  ///< This kernel, runtime or build cannot do it.
  cancelled,    ///< The caller gave up.
  internal,     ///< Our own mistake, or a kernel error we did not expect.
};

/// The kind's name as it stands above, for logs and JSON.
std::string_view to_string(Kind kind);

/// A failure: its kind, the errno or foreign status behind it (0 if none), and text that says what failed, on what,
/// why. Context is added at boundaries, outermost first when printed: "create sandbox web: mount proc: permission
/// denied". Never holds a secret. A plain value; copy it freely.
class Error {
 public:
  Error(Kind kind, std::string what, int code = 0) : kind_(kind), code_(code), what_(std::move(what)) {}

  Kind kind() const { return kind_; }
  /// The errno (or HTTP, gRPC, exit status) that caused it; 0 if none.
  int code() const { return code_; }
  /// The innermost text alone.
  const std::string& what() const { return what_; }
  /// The whole text with its context, outermost first, joined by ": ".
  std::string message() const;

  /// Adds the outer context, e.g. "pull image docker.io/library/nginx:latest".
  Error&& with_context(std::string context) && {
    context_.push_back(std::move(context));
    return std::move(*this);
  }

 private:
  Kind kind_;
  int code_;
  std::string what_;
  std::vector<std::string> context_;
};

/// A value or an Error. Ignoring one does not compile (-Werror=unused-result). Dereferencing an error aborts.
template <class T = void>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using Base = std::expected<T, Error>;
  using Base::Base;

  /// The same result, its error (if any) with context in front: `read(f).context("load {}", name)`.
  template <class... Args>
  Result context(fmt::format_string<Args...> format, Args&&... args) && {
    if (!this->has_value()) {
      return std::unexpected(std::move(this->error()).with_context(fmt::format(format, std::forward<Args>(args)...)));
    }
    return std::move(*this);
  }
};

/// An error result: `return fail(Kind::invalid, "{}: not a port", path);`
template <class... Args>
std::unexpected<Error> fail(Kind kind, fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected(Error(kind, fmt::format(format, std::forward<Args>(args)...)));
}

/// The kind that fits an errno: ENOENT -> not_found, EEXIST -> exists, EACCES/EPERM -> permission, ETIMEDOUT ->
/// timeout, ENOSPC/EMFILE/ENFILE/EDQUOT/ENOMEM -> exhausted, EINVAL -> invalid, EBUSY -> conflict, ECONNREFUSED/EAGAIN
/// -> unavailable, ENOSYS/EOPNOTSUPP -> unsupported, ECANCELED -> cancelled; otherwise internal.
Kind kind_of_errno(int error);

/// strerror, safe from any thread.
std::string errno_text(int error);

/// An error result from an errno value: text + ": " + strerror.
template <class... Args>
std::unexpected<Error> fail_errno(int error, fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected(
      Error(kind_of_errno(error), fmt::format(format, std::forward<Args>(args)...) + ": " + errno_text(error), error));
}

}  // namespace keelson

#define KEELSON_JOIN_(a, b) a##b
#define KEELSON_JOIN(a, b) KEELSON_JOIN_(a, b)
#define KEELSON_TRY_(tmp, ret, decl, ...)        \
  auto tmp = (__VA_ARGS__);                      \
  if (!tmp) {                                    \
    ret std::unexpected(std::move(tmp).error()); \
  }                                              \
  decl = *std::move(tmp)
#define KEELSON_DO_(tmp, ret, ...)               \
  if (auto tmp = (__VA_ARGS__); !tmp) {          \
    ret std::unexpected(std::move(tmp).error()); \
  }                                              \
  static_assert(true)

/// `KEELSON_TRY(auto fd, open_file(path));` declares fd, or returns the error. Variadic, for commas.
#define KEELSON_TRY(decl, ...) KEELSON_TRY_(KEELSON_JOIN(keelson_try_, __COUNTER__), return, decl, __VA_ARGS__)
/// `KEELSON_DO(write_all(fd, text));` returns the error of a Result<> (or drops a value).
#define KEELSON_DO(...) KEELSON_DO_(KEELSON_JOIN(keelson_do_, __COUNTER__), return, __VA_ARGS__)
/// The same inside a coroutine: `KEELSON_CO_TRY(auto status, co_await client.status());`
#define KEELSON_CO_TRY(decl, ...) KEELSON_TRY_(KEELSON_JOIN(keelson_try_, __COUNTER__), co_return, decl, __VA_ARGS__)
#define KEELSON_CO_DO(...) KEELSON_DO_(KEELSON_JOIN(keelson_do_, __COUNTER__), co_return, __VA_ARGS__)
