/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What must hold for every resync decision, whatever the table says (states-and-resync 8). */
#ifndef SYNC_ORACLE_H
#define SYNC_ORACLE_H

#include "core/uuid.h"

/*
 * Decides from both ends of the connection. NULL, or what is wrong; it was printed then.
 * Invariants that are checked: S13 (mirrored), S3 and rule 4 of the reliability goals (no bits are
 * forgotten), S8 (no silent merge), I5 (no false alarm), and that nobody gets what is older.
 */
const char *sync_oracle(const struct sync_input *in);

#endif
