# src/core/request_log.c: a disk that is Outdated gets neither data nor a mark
# scenario H18-outdated
/^enum write_mode request_mode/,/^}/s/^\tswitch (pdsk) {/\tif (pdsk == DISK_OUTDATED)\n\t\treturn MODE_NONE;\n&/
/^enum write_mode request_mode/,/^}/s/repl == REPL_WF_BITMAP_S/(repl == REPL_WF_BITMAP_S \&\& pdsk != DISK_OUTDATED)/
