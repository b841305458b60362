# src/core/uuid.c: new-current-uuid keeps references and bits towards nodes that are not configured
# scenario H8-unconfigured
/^static void declare_equal/,/^}/s/^\t\telse$/\t\telse if (core->peer[n])/
/^enum state_rv uuid_new_current/,/^}/s/^\t\tuuid_forget_bitmap_uuid/\t\tif (core->peer[n])\n\t&/
