/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns status --watch: redraws in place on a terminal;
 * elsewhere prints the text each time it changes. */
#include "commands.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "client.h"
#include "out_status.h"
#include "screen.h"

#define PERIOD_MS 200
#define BAR_COLUMNS 24U /* with figures behind it the line fits into 80 columns */

static volatile sig_atomic_t stop;

static void on_signal(int signo)
{
	(void)signo;
	stop = 1;
}

/* The status, or what is wrong with the daemon: it may come back. */
struct picture {
	char *text; /* NULL: no memory */
	int rc;     /* of the query */
};

static struct picture picture_take(struct cli *cli, const struct out_style *style)
{
	struct picture p = { .text = NULL };
	struct err err = ERR_INIT;
	json_t *reply = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&p.text, &bytes);

	if (!out)
		return p;
	p.rc = client_status(cli, cli->resource, &reply, &err);
	if (p.rc)
		(void)fprintf(out, "drbdctl: %s\n", err.text);
	else if (cli->json)
		(void)fprintf(out, "%s\n", json_dumpf(reply, out, JSON_COMPACT) ? "null" : "");
	else
		out_status(out, reply, style);
	json_decref(reply);
	if (fclose(out)) {
		free(p.text);
		p.text = NULL;
	}
	return p;
}

/* No such resource, no right to ask: that does not change by waiting. */
static bool is_final(const struct picture *p)
{
	return p->rc == EXIT_ERROR;
}

static void pause_until_next(void)
{
	struct timespec t = { .tv_nsec = PERIOD_MS * 1000000L };

	/* A signal ends it early, which is what it is for. */
	(void)nanosleep(&t, NULL);
}

static void draw(const char *text)
{
	struct winsize size = { 0 };
	char *frame;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_col || !size.ws_row) {
		size.ws_col = 80;
		size.ws_row = 24;
	}
	frame = screen_frame(text, size.ws_col, size.ws_row);
	if (frame)
		(void)fputs(frame, stdout);
	(void)fflush(stdout);
	free(frame);
}

static int watch_terminal(struct cli *cli)
{
	struct out_style style = { .colour = !getenv("NO_COLOR"), .tty = true,
				   .verbose = cli->verbose, .statistics = cli->statistics,
				   .bar = BAR_COLUMNS };
	struct picture p = { .text = NULL };

	(void)fputs(SCREEN_ENTER, stdout);
	while (!stop) {
		free(p.text);
		p = picture_take(cli, &style);
		if (is_final(&p))
			break;
		if (p.text)
			draw(p.text);
		if (!stop)
			pause_until_next();
	}
	(void)fputs(SCREEN_LEAVE, stdout);
	(void)fflush(stdout);
	if (is_final(&p) && p.text)
		(void)fputs(p.text, stderr);
	free(p.text);
	return is_final(&p) ? p.rc : EXIT_OK;
}

static int watch_pipe(struct cli *cli)
{
	struct out_style style = { .verbose = cli->verbose, .statistics = cli->statistics };
	char *shown = NULL;
	int rc = EXIT_OK;

	while (!stop && rc == EXIT_OK) {
		struct picture p = picture_take(cli, &style);
		/* Who reads JSON shall get nothing else. */
		FILE *out = is_final(&p) || (p.rc && cli->json) ? stderr : stdout;

		if (p.text && (!shown || !str_eq(p.text, shown))) {
			free(shown);
			shown = p.text;
			if (fputs(shown, out) == EOF || fflush(out))
				rc = EXIT_USAGE;
		} else {
			free(p.text);
		}
		if (is_final(&p))
			rc = p.rc;
		if (!stop && rc == EXIT_OK)
			pause_until_next();
	}
	free(shown);
	return rc;
}

int watch_status(struct cli *cli)
{
	struct sigaction action = { .sa_handler = on_signal };

	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGHUP, &action, NULL);
	if (isatty(STDOUT_FILENO) && !cli->json)
		return watch_terminal(cli);
	return watch_pipe(cli);
}
