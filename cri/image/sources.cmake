# SPDX-License-Identifier: Apache-2.0
# What image/ adds to the target keelson::cri; paths are relative to cri/.
set(CRI_IMAGE_PUBLIC)
set(CRI_IMAGE_SRCS)
set(CRI_IMAGE_LIBS)
set(CRI_IMAGE_UNIT_TESTS)
set(CRI_IMAGE_KERNEL_TESTS)
