# src/core/actlog.c: one of the writers that wait for the activity log is woken, the others are not
# scenario H68-writers-woken
s/^\tlist_splice_back(&al->granted, &al->admitted);/\tif (!list_empty(\&al->admitted)) {\n\t\tstruct list *one = al->admitted.next;\n\t\tlist_del(one);\n\t\tlist_push_back(\&al->granted, one);\n\t}/
