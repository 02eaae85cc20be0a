/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* libbpf's helpers, which want the kernel's types before them. */
#ifndef KEELSON_EBPF_HELPERS_H
#define KEELSON_EBPF_HELPERS_H

/* clang-format off */
#include <linux/bpf.h>
#include <stddef.h>
#include <bpf/bpf_helpers.h>
/* clang-format on */

/* Makes the compiler forget what it knows of a number, so that it leaves the checks to the verifier's eyes. */
#define KL_OPAQUE(number) __asm__ volatile("" : "+r"(number))

/* Memory is read and written on its own side of this; and the word once, as it is. */
#define KL_BARRIER() __asm__ volatile("" ::: "memory")
#define KL_READ_ONCE(place) (*(const volatile __typeof__(place)*)&(place))
#define KL_WRITE_ONCE(place, value) (*(volatile __typeof__(place)*)&(place) = (value))

#endif
