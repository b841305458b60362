/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connecting two and three cores: versions, authentication, sizes, the exchange inside the transaction. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/core_int.h"
#include "../lib/core_pair.h"

Test(handshake, two_fresh_nodes_connect)
{
	struct pair *p = pair_new(&(struct pair_opts){ 0 });

	pair_up(p);
	cr_assert_eq(pair_conn(p, 0, 1), CONN_CONNECTED, "%s", pair_describe(p));
	cr_assert_eq(pair_conn(p, 1, 0), CONN_CONNECTED, "%s", pair_describe(p));
	cr_assert_eq(pair_repl(p, 0, 1), REPL_ESTABLISHED);
	cr_assert_eq(pair_repl(p, 1, 0), REPL_ESTABLISHED);
	cr_assert_eq(pair_disk(p, 0), DISK_INCONSISTENT);
	cr_assert_eq(pair_pdsk(p, 0, 1), DISK_INCONSISTENT);
	pair_free(p);
}

Test(handshake, skip_initial_sync)
{
	struct pair *p = pair_new(&(struct pair_opts){ 0 });

	pair_up_to_date(p);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	pair_free(p);
}
