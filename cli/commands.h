/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The functions behind the table of commands; each returns the exit code. */
#ifndef COMMANDS_H
#define COMMANDS_H

#include "cli.h"

/* cmd_status.c */
int cmd_status(struct cli *cli);
/* cmd_why.c */
int cmd_why(struct cli *cli);
/* cmd_split_brain.c */
int cmd_split_brain(struct cli *cli);
/* cmd_resolve.c */
int cmd_resolve(struct cli *cli);
/* cmd_undo.c */
int cmd_apply_undo(struct cli *cli);
/* watch.c: status until interrupted. */
int watch_status(struct cli *cli);

/* cmd_query.c */
int cmd_role(struct cli *cli);
int cmd_dstate(struct cli *cli);
int cmd_cstate(struct cli *cli);
int cmd_version(struct cli *cli);

/* cmd_wait.c */
int cmd_wait_sync(struct cli *cli);
int cmd_wait_connect(struct cli *cli);

/* cmd_change.c: whatever is a POST; the command's name is the verb of the interface. */
int cmd_resource(struct cli *cli);
int cmd_volume(struct cli *cli);
int cmd_peer_volumes(struct cli *cli);
int cmd_peer(struct cli *cli);
int cmd_shutdown(struct cli *cli);

/* cmd_offline.c */
int cmd_offline_create_md(struct cli *cli);
int cmd_offline_dump_md(struct cli *cli);
int cmd_offline_restore_md(struct cli *cli);
int cmd_offline_apply_al(struct cli *cli);
int cmd_offline_wipe_md(struct cli *cli);
int cmd_offline_get_gi(struct cli *cli);
int cmd_offline_show_gi(struct cli *cli);
int cmd_offline_set_gi(struct cli *cli);

/* cmd_tls.c */
int cmd_tls(struct cli *cli);

/* main.c */
int cmd_help(struct cli *cli);

#endif
