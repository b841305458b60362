/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The descriptors 0 to 2 of a process, which may have been started without them. */
#ifndef BASE_STD_FDS_H
#define BASE_STD_FDS_H

/* Occupies those that are closed, so that no store and no socket becomes one of them and gets what
 * is printed. Writing to them fails as before. */
void std_fds_occupy(void);

#endif
