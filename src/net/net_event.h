/* SPDX-License-Identifier: GPL-2.0-or-later */
/* struct event of libevent, whatever was included
 * before: its header has a LIST_ENTRY of its own. */
#ifndef NET_EVENT_H
#define NET_EVENT_H

#pragma push_macro("LIST_ENTRY")
#undef LIST_ENTRY
#include <event2/event.h>
#include <event2/event_struct.h>
#pragma pop_macro("LIST_ENTRY")

#endif
