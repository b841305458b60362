/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Recognition of metadata versions. */
#include "meta/meta_version.h"

#include "base/bytes.h"

#define OFF_MAGIC_V07 28

enum meta_version meta_version_recognise(const uint8_t block[static MD_PAGE_BYTES])
{
	switch (get_be32(block + META_MAGIC_OFFSET)) {
	case META_MAGIC_V08:
		return META_VERSION_V08;
	case META_MAGIC_V08_UNCLEAN:
		return META_VERSION_V08_UNCLEAN;
	case META_MAGIC_V09:
		return META_VERSION_V09;
	default:
		return get_be32(block + OFF_MAGIC_V07) == META_MAGIC_V07 ? META_VERSION_V07
									 : META_VERSION_NONE;
	}
}

const char *meta_version_name(enum meta_version version)
{
	switch (version) {
	case META_VERSION_V07:
		return "DRBD 0.7 metadata (v07)";
	case META_VERSION_V08:
		return "DRBD 8 metadata (v08)";
	case META_VERSION_V08_UNCLEAN:
		return "DRBD 8 metadata (v08) that was not shut down cleanly";
	case META_VERSION_V09:
		return "DRBD 9 metadata (v09)";
	case META_VERSION_NONE:
		break;
	}
	return "no DRBD metadata";
}

const char *meta_version_advice(enum meta_version version)
{
	switch (version) {
	case META_VERSION_V07:
		return "it cannot be converted here: bring it to v08 with `drbdmeta ... v08 ... "
		       "create-md` of drbd-utils first, or start afresh with `drbdctl create-md "
		       "--force` (all peers resynchronise then)";
	case META_VERSION_V08:
	case META_VERSION_V08_UNCLEAN:
		return "convert it with `drbdctl create-md --from-v08`, which keeps generations "
		       "and bitmap, or start afresh with `drbdctl create-md --force` (all peers "
		       "resynchronise then)";
	case META_VERSION_V09:
	case META_VERSION_NONE:
		break;
	}
	return "create metadata with `drbdctl create-md`";
}
