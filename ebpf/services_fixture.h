// SPDX-License-Identifier: Apache-2.0
// The suite of services as clients see them, which is more than one file.
#pragma once

#include "ebpf/service_fixture.h"

namespace keelson::ebpf::testing {

class ServicesTest : public ServiceFixture {};

}  // namespace keelson::ebpf::testing
