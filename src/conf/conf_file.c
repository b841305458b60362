/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the reading of configuration files: bounds,
 * libconfig parse, include-files, top-level keys. */
#include "conf/conf_int.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"

#define CONF_VERSION 1

/* ---- what is looked at before libconfig sees the text ---- */

/* Position in a text, with what lexical context the position has. */
struct scan {
	const char *p, *end;
	unsigned line;
	unsigned depth;
	char last; /* last significant character before p, 0 = none */
};

static void scan_string(struct scan *s)
{
	for (s->p++; s->p < s->end && *s->p != '"'; s->p++) {
		if (*s->p == '\n')
			s->line++;
		if (*s->p == '\\' && s->p + 1 < s->end)
			s->p++;
	}
	if (s->p < s->end)
		s->p++;
	s->last = '"';
}

/* True when a comment stood at p and was passed over. */
static bool scan_comment(struct scan *s)
{
	size_t left = (size_t)(s->end - s->p);

	if (*s->p == '#' || (left > 1 && !memcmp(s->p, "//", 2))) {
		while (s->p < s->end && *s->p != '\n')
			s->p++;
		return true;
	}
	if (left < 2 || memcmp(s->p, "/*", 2) != 0)
		return false;
	for (s->p += 2; s->p < s->end; s->p++) {
		if (*s->p == '\n')
			s->line++;
		if (s->end - s->p > 1 && !memcmp(s->p, "*/", 2)) {
			s->p += 2;
			break;
		}
	}
	return true;
}

static bool is_word_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '_' || c == '-' || c == '*' || c == '.';
}

/* Passes over a name or number; false for a number that libconfig would cut to 32 bits unasked. */
static bool scan_word(struct scan *s)
{
	const char *word = s->p;
	char text[24];
	char *end;
	size_t n;

	while (s->p < s->end && is_word_char(*s->p))
		s->p++;
	s->last = s->p[-1];
	n = (size_t)(s->p - word);
	if (n >= sizeof(text))
		return word[0] != '-' && (word[0] < '0' || word[0] > '9');
	memcpy(text, word, n);
	text[n] = '\0';
	errno = 0;
	long long v = strtoll(text, &end, 0);

	return *end || (!errno && v >= INT32_MIN && v <= INT32_MAX);
}

static bool is_bracket_open(char c)
{
	return c == '{' || c == '(' || c == '[';
}

static bool is_bracket_close(char c)
{
	return c == '}' || c == ')' || c == ']';
}

/* Refuses what libconfig would take too literally: deep nesting and its own include directive. */
static bool text_scan(struct conf_loader *l, const char *path, const char *text, size_t bytes)
{
	struct scan s = { .p = text, .end = text + bytes, .line = 1 };

	while (s.p < s.end) {
		if (*s.p == '"') {
			scan_string(&s);
			continue;
		}
		if (scan_comment(&s))
			continue;
		if (is_word_char(*s.p)) {
			if (scan_word(&s))
				continue;
			conf_message_add(l->messages, false, path, s.line,
					 "number too large: write it in quotes");
			return false;
		}
		if (*s.p == '\n')
			s.line++;
		if (is_bracket_open(*s.p) && ++s.depth > CONF_NESTING_MAX) {
			conf_message_add(l->messages, false, path, s.line,
					 "nested more than %u brackets deep", CONF_NESTING_MAX);
			return false;
		}
		if (is_bracket_close(*s.p)) {
			if (s.last == ',') {
				conf_message_add(l->messages, false, path, s.line,
						 "no comma may stand before '%c'", *s.p);
				return false;
			}
			s.depth -= s.depth > 0;
		}
		if (*s.p == '@') {
			conf_message_add(
				l->messages, false, path, s.line,
				"@include is not supported; use include-files = [ \"FILE\" ]");
			return false;
		}
		if (*s.p > ' ')
			s.last = *s.p;
		s.p++;
	}
	return true;
}

/* First word of a file and the first significant character behind it. */
static bool is_drbd_grammar(const char *text, size_t bytes)
{
	static const char *const words[] = { "resource", "global", "common", "include", "skip" };
	struct scan s = { .p = text, .end = text + bytes, .line = 1 };
	const char *word;
	size_t n;

	while (s.p < s.end && (scan_comment(&s) || (unsigned char)*s.p <= ' '))
		s.p += s.p < s.end && (unsigned char)*s.p <= ' ';
	word = s.p;
	while (s.p < s.end && ((*s.p >= 'a' && *s.p <= 'z') || *s.p == '-'))
		s.p++;
	n = (size_t)(s.p - word);
	while (s.p < s.end && (unsigned char)*s.p <= ' ')
		s.p++;
	if (s.p == s.end || *s.p == '=' || *s.p == ':')
		return false;
	for (unsigned i = 0; i < ARRAY_LEN(words); i++) {
		if (n == strlen(words[i]) && !memcmp(word, words[i], n))
			return true;
	}
	return false;
}

struct conf_file *conf_file_parse(struct conf_loader *l, const char *path, const char *text,
				  size_t bytes)
{
	struct conf_file *file;

	/* The mark that some editors put in front of UTF-8. */
	if (bytes >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
		text += 3;
		bytes -= 3;
	}
	if (memchr(text, '\0', bytes)) {
		conf_message_add(l->messages, false, path, 0, "holds NUL bytes: not a text file");
		return NULL;
	}
	if (is_drbd_grammar(text, bytes)) {
		conf_message_add(l->messages, false, path, 0,
				 "is in the grammar of DRBD's .res files, which this version "
				 "does not read; write it in the syntax of drbdfs.conf(5)");
		return NULL;
	}
	if (!text_scan(l, path, text, bytes))
		return NULL;
	if (l->file_count == CONF_FILES_MAX) {
		conf_message_add(l->messages, false, path, 0, "more than %u files", CONF_FILES_MAX);
		return NULL;
	}
	file = calloc(1, sizeof(*file));
	if (!file) {
		conf_message_add(l->messages, false, path, 0, "out of memory");
		return NULL;
	}
	(void)str_copy(file->path, sizeof(file->path), path);
	config_init(&file->cfg);
	l->files[l->file_count++] = file;
	if (!config_read_string(&file->cfg, text)) {
		conf_message_add(l->messages, false, path,
				 (unsigned)config_error_line(&file->cfg), "%s",
				 config_error_text(&file->cfg));
		return NULL;
	}
	return file;
}

void conf_files_free(struct conf_loader *l)
{
	for (unsigned i = 0; i < l->file_count; i++) {
		config_destroy(&l->files[i]->cfg);
		free(l->files[i]);
	}
	l->file_count = 0;
}

/* ---- top level ---- */

/* Remembers a group that may stand once in all files together. */
static bool take_once(struct conf_loader *l, const config_setting_t *root, const char *name,
		      const config_setting_t **slot)
{
	const config_setting_t *s = conf_member(root, name, KEY_GROUP);

	if (!s)
		return true;
	if (*slot) {
		conf_error_at(l, s, "second '%s' group; the first is at %s:%u", name,
			      conf_setting_file(*slot), config_setting_source_line(*slot));
		return false;
	}
	*slot = s;
	return true;
}

static bool take_list(struct conf_loader *l, const config_setting_t *root, const char *name,
		      const config_setting_t **slots, unsigned *count, unsigned max)
{
	const config_setting_t *list = conf_member(root, name, KEY_LIST);

	for (unsigned i = 0; i < conf_length(list); i++) {
		if (*count == max) {
			conf_error_at(l, conf_elem(list, i), "more than %u %s", max, name);
			return false;
		}
		slots[(*count)++] = conf_elem(list, i);
	}
	return true;
}

bool conf_file_collect(struct conf_loader *l, struct conf_file *file)
{
	static const struct conf_key keys[] = {
		{ "version", KEY_INT, false },	 { "node", KEY_GROUP, false },
		{ "include-files", KEY_ARRAY, false }, { "common", KEY_GROUP, false },
		{ "templates", KEY_LIST, false }, { "resources", KEY_LIST, false },
		{ "security", KEY_GROUP, false },
	};
	const config_setting_t *root = config_root_setting(&file->cfg);
	const config_setting_t *version = conf_member(root, "version", KEY_INT);
	bool good = conf_keys_check(l, root, "top level", keys, ARRAY_LEN(keys));

	if (version && config_setting_get_int64(version) != CONF_VERSION) {
		conf_error_at(l, version,
			      "version %lld is not known; this program reads version %d",
			      config_setting_get_int64(version), CONF_VERSION);
		good = false;
	}
	good &= take_once(l, root, "node", &l->node);
	good &= take_once(l, root, "common", &l->common);
	good &= take_once(l, root, "security", &l->security);
	good &= take_list(l, root, "templates", l->templates, &l->template_count,
			  CONF_TEMPLATES_MAX);
	good &= take_list(l, root, "resources", l->resources, &l->resource_count,
			  CONF_RESOURCES_MAX);
	return good;
}

/* ---- files on disk ---- */

/* Where an error about a file belongs: the include-files line, or the file itself. */
static void file_error(struct conf_loader *l, const config_setting_t *from, const char *path,
		       const char *why)
{
	if (from)
		conf_error_at(l, from, "include-files: cannot read %s: %s", path, why);
	else
		conf_message_add(l->messages, false, path, 0, "cannot read the configuration: %s",
				 why);
}

/* Reads a bounded regular file. NULL and a reason on failure; the caller frees the text. */
static char *slurp(const char *path, size_t *bytes, struct stat *st, const char **why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = NULL;
	size_t used = 0;

	*why = NULL;
	if (fd < 0 || fstat(fd, st)) {
		*why = strerrordesc_np(errno);
		goto out;
	}
	if (!S_ISREG(st->st_mode)) {
		*why = "not a regular file";
		goto out;
	}
	/* One byte more than allowed shows that there is more than allowed. */
	text = malloc(CONF_FILE_BYTES_MAX + 2);
	if (!text) {
		*why = "out of memory";
		goto out;
	}
	while (used <= CONF_FILE_BYTES_MAX) {
		ssize_t n = read(fd, text + used, CONF_FILE_BYTES_MAX + 1 - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			*why = strerrordesc_np(errno);
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	if (used > CONF_FILE_BYTES_MAX)
		*why = "larger than 1 MiB";
	text[used <= CONF_FILE_BYTES_MAX ? used : CONF_FILE_BYTES_MAX] = '\0';
	*bytes = used;
out:
	if (fd >= 0)
		(void)close(fd);
	if (*why) {
		free(text);
		return NULL;
	}
	return text;
}

static bool is_read_already(const struct conf_loader *l, const struct stat *st)
{
	for (unsigned i = 0; i < l->file_count; i++) {
		if (l->files[i]->dev == st->st_dev && l->files[i]->ino == st->st_ino)
			return true;
	}
	return false;
}

static bool file_read(struct conf_loader *l, const char *path, const config_setting_t *from,
		      unsigned depth);

/* Expands one pattern, relative to the directory of the file that holds it. */
static bool include_pattern(struct conf_loader *l, const config_setting_t *s, unsigned depth)
{
	const char *pattern = config_setting_get_string(s);
	const char *file = conf_setting_file(s);
	const char *slash = strrchr(file, '/');
	char full[2 * CONF_PATH_MAX];
	bool good = true;
	glob_t g;
	int rc;

	if (!str_format(full, sizeof(full), "%.*s%s",
			pattern[0] == '/' || !slash ? 0 : (int)(slash - file + 1), file,
			pattern)) {
		conf_error_at(l, s, "include-files: path too long");
		return false;
	}
	rc = glob(full, 0, NULL, &g);
	if (rc == GLOB_NOMATCH) {
		/* A pattern may match nothing; a plain name must be there. */
		if (!strpbrk(full, "*?[")) {
			file_error(l, s, full, "no such file");
			return false;
		}
		return true;
	}
	if (rc) {
		file_error(l, s, full, "the pattern cannot be expanded");
		return false;
	}
	for (size_t i = 0; i < g.gl_pathc; i++)
		good &= file_read(l, g.gl_pathv[i], s, depth);
	globfree(&g);
	return good;
}

static bool includes_read(struct conf_loader *l, const struct conf_file *file, unsigned depth)
{
	const config_setting_t *list =
		conf_member(config_root_setting(&file->cfg), "include-files", KEY_ARRAY);
	bool good = true;

	for (unsigned i = 0; i < conf_length(list); i++) {
		const config_setting_t *s = conf_elem(list, i);

		if (!conf_kind_is(s, KEY_TEXT)) {
			conf_error_at(l, list, "include-files: must hold texts in quotes");
			return false;
		}
		good &= include_pattern(l, s, depth + 1);
	}
	return good;
}

static bool file_read(struct conf_loader *l, const char *path, const config_setting_t *from,
		      unsigned depth)
{
	struct conf_file *file;
	struct stat st;
	size_t bytes = 0;
	const char *why;
	char *text;
	bool good;

	if (depth > CONF_INCLUDE_DEPTH_MAX || strlen(path) >= CONF_PATH_MAX) {
		file_error(l, from, path,
			   depth > CONF_INCLUDE_DEPTH_MAX ? "included too deeply"
							  : "path too long");
		return false;
	}
	text = slurp(path, &bytes, &st, &why);
	if (!text) {
		file_error(l, from, path, why);
		return false;
	}
	if (is_read_already(l, &st)) {
		file_error(l, from, path, "it is part of the configuration already");
		free(text);
		return false;
	}
	file = conf_file_parse(l, path, text, bytes);
	free(text);
	if (!file)
		return false;
	file->dev = st.st_dev;
	file->ino = st.st_ino;
	/* Includes are followed even when a key was wrong: more errors per run. */
	good = conf_file_collect(l, file);
	return includes_read(l, file, depth) && good;
}

bool conf_files_read(struct conf_loader *l, const char *path)
{
	return file_read(l, path, NULL, 0);
}
