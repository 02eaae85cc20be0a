# SPDX-License-Identifier: Apache-2.0
# What image/ adds to the target keelson::cri; paths are relative to cri/. reference.cpp is keelson::cri_reference.
set(CRI_IMAGE_PUBLIC)
set(CRI_IMAGE_SRCS
  image/digest.cpp image/manifest.cpp image/unpack.cpp image/store.cpp image/load.cpp
  image/http.cpp image/hosts.cpp image/auth.cpp image/client_certificates.cpp image/registry.cpp image/pull.cpp)
set(CRI_IMAGE_LIBS PkgConfig::ARCHIVE PkgConfig::CURL OpenSSL::Crypto Boost::json)
set(CRI_IMAGE_UNIT_TESTS image/reference_test.cpp)
set(CRI_IMAGE_KERNEL_TESTS image/unpack_test.cpp image/pull_test.cpp image/registry_tls_test.cpp)
