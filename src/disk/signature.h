/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Recognises what a store holds already, so that create-md does not overwrite it. */
#ifndef SIGNATURE_H
#define SIGNATURE_H

#include <stdint.h>

#include "disk/backing.h"

/* Something found on a store. */
struct signature {
	const char *what;   /* with its article: "an ext2/3/4 file system" */
	uint64_t end_byte;  /* it reaches up to here; UINT64_MAX = all of the store */
};

/*
 * The signature that reaches furthest. 1 = found, 0 = none, -errno = cannot read. Sizes come from
 * the store and are only compared.
 */
int signature_find(struct backing *b, struct signature *found);

#endif
