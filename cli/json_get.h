/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tolerant access to the daemon's JSON: a missing key reads as "", 0 or false. */
#ifndef JSON_GET_H
#define JSON_GET_H

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

static inline const char *get_text(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

static inline json_int_t get_int(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static inline double get_real(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static inline bool get_bool(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

static inline const json_t *get_array(const json_t *object, const char *key)
{
	return json_object_get(object, key);
}

static inline bool text_is(const json_t *object, const char *key, const char *value)
{
	return strcmp(get_text(object, key), value) == 0;
}

#endif
