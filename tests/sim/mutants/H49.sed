# src/core/twopc.c src/core/state_rules.c src/core/twopc_change.c: two promotions at once both succeed
# scenario 15-promotion-race
s/return adds && (tp->primary & (tp->primary - 1)) ? SS_TWO_PRIMARIES/return adds \&\& 0 ? SS_TWO_PRIMARIES/
s/^\t\treturn SS_TWO_PRIMARIES;/\t\treturn SS_SUCCESS;/
