/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All that test_net_packets.c asks of the packet layer, through TLS. */
#define TEST_TLS
#include "test_net_packets.c"
