// SPDX-License-Identifier: Apache-2.0
// Texts of errors, and which kind an errno is.
#include "common/result.h"

#include <cstring>

namespace keelson {

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::invalid:
      return "invalid";
    case Kind::not_found:
      return "not_found";
    case Kind::exists:
      return "exists";
    case Kind::permission:
      return "permission";
    case Kind::unavailable:
      return "unavailable";
    case Kind::timeout:
      return "timeout";
    case Kind::exhausted:
      return "exhausted";
    case Kind::conflict:
      return "conflict";
    case Kind::unsupported:
      return "unsupported";
    case Kind::cancelled:
      return "cancelled";
    case Kind::internal:
      return "internal";
  }
  return "internal";
}

std::string Error::message() const {
  std::string text;
  for (auto it = context_.rbegin(); it != context_.rend(); ++it) {
    text += *it;
    text += ": ";
  }
  return text + what_;
}

Kind kind_of_errno(int error) {
  switch (error) {
    case ENOENT:
    case ESRCH:
    case ENODEV:
    case ENXIO:
      return Kind::not_found;
    case EEXIST:
      return Kind::exists;
    case EACCES:
    case EPERM:
    case EROFS:
      return Kind::permission;
    case ETIMEDOUT:
      return Kind::timeout;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return Kind::exhausted;
    case EINVAL:
    case ERANGE:
    case E2BIG:
    case ENAMETOOLONG:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
      return Kind::invalid;
    case EBUSY:
    case ENOTEMPTY:
      return Kind::conflict;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EAGAIN:
      return Kind::unavailable;
    case ENOSYS:
    case EOPNOTSUPP:
      return Kind::unsupported;
    case ECANCELED:
      return Kind::cancelled;
    default:
      return Kind::internal;
  }
}

std::string errno_text(int error) {
  char buffer[128];
  // The GNU strerror_r: it may answer with a static text instead of filling the buffer.
  return ::strerror_r(error, buffer, sizeof buffer);
}

}  // namespace keelson
