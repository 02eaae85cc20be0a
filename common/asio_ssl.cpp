// SPDX-License-Identifier: Apache-2.0
// Asio's TLS, compiled once for all rooms that use it (BOOST_ASIO_SEPARATE_COMPILATION).
#include <boost/asio/ssl/impl/src.hpp>
