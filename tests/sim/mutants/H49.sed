# src/core/twopc.c src/core/state_rules.c src/core/twopc_change.c: two promotions at once both succeed
# scenario 15-promotion-race
s/^\tif (!adds || /\tif (1 || !adds || /
s/^\t\treturn SS_TWO_PRIMARIES;/\t\treturn SS_SUCCESS;/
