// SPDX-License-Identifier: Apache-2.0
// Objects as few bytes, for who keeps many of them and reads few: a Service with its EndpointSlice is 2.5 KiB as
// structs, most of it empty fields, and 0.2 KiB packed. In this process only; the form is nobody else's business.
#pragma once

#include <string>
#include <string_view>

#include "kube/endpoint_slice.h"
#include "kube/service.h"

namespace keelson::kube {

std::string pack(const Service& service);
std::string pack(const EndpointSlice& slice);

/// Of what pack() made of that type: the same object again. Takes some microseconds.
Service unpack_service(std::string_view packed);
EndpointSlice unpack_endpoint_slice(std::string_view packed);

}  // namespace keelson::kube
