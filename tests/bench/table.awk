# SPDX-License-Identifier: GPL-2.0-or-later
# The table of bench.sh and what of its targets is met. Input, tab separated:
#   row     BACKING TARGET REASON                  a row of the table; a REASON stands where it has no figures
#   figure  BACKING WORKLOAD TARGET ROUND IOPS MIB P50_US P99_US CPU_US THIN_IOPS
BEGIN {
	FS = "\t"
	# backing, target, compared with, least ratio for: 4k write QD1, QD32, 1 MiB write, 4k read QD32, 1 MiB read
	want("tmpfs", "drbdfs alone", "thin FUSE", "0.85 0.80 0.85 0.95 0.95")
	want("tmpfs", "one peer C", "thin FUSE", "0.42 0.36 0.48 0.95 0.95")
	want("tmpfs", "two peers C", "thin FUSE", "0.30 0.18 0.32 0.95 0.95")
	want("tmpfs", "one peer A", "thin FUSE", "0.60 0.42 0.50 0.95 0.95")
	want("tmpfs", "one peer C", "quorum 1+1", "2 2 1.2")
	want("tmpfs", "one peer C", "quorum 0+2", "2 2 1.2")
	want("tmpfs", "one peer C", "GlusterFS replica 2", "4.5 9 5")
	want("tmpfs", "one peer C TLS", "one peer C", "0.65 0.65 0.65")
	want("disk", "one peer C", "quorum 1+1", "1 1.5 1")
	want("disk", "one peer C", "quorum 0+2", "1 1.5 1")
	split("randwrite-4k-qd1 randwrite-4k-qd32 write-1m randread-4k-qd32 read-1m", workload_names, " ")
}

function want(backing, target, other, least) {
	wants++
	want_backing[wants] = backing; want_target[wants] = target; want_other[wants] = other; want_least[wants] = least
}

function median(list,   a, n, i, j, t) {
	n = split(list, a, " ")
	for (i = 2; i <= n; i++) {
		t = a[i] + 0
		for (j = i - 1; j > 0 && a[j] + 0 > t; j--)
			a[j + 1] = a[j]
		a[j + 1] = t
	}
	return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
}

$1 == "row" {
	row_backing[++rows] = $2
	row_target[rows] = $3
	reason[$2, $3] = $4
}

$1 == "figure" {
	k = $2 SUBSEP $3 SUBSEP $4
	if (!(($2, $3) in seen)) {
		seen[$2, $3] = 1
		part_backing[++parts] = $2
		part_workload[parts] = $3
	}
	count[k]++
	if ($5 > last_round)
		last_round = $5
	# Thin FUSE is measured several times in a round: the first stands for it.
	if (!((k, $5) in iops_in))
		iops_in[k, $5] = $6
	iops[k] = iops[k] " " $6
	mib[k] = mib[k] " " $7
	p50[k] = p50[k] " " $8
	p99[k] = p99[k] " " $9
	cpu[k] = cpu[k] " " $10
	to_thin[k] = to_thin[k] " " $6 / $11
}

function print_part(backing, workload,   mibs, i, k, note) {
	mibs = workload ~ /-1m$/
	printf "\n%-24s %10s %10s %10s %10s %8s\n", backing ", " workload, mibs ? "MiB/s" : "IOPS", "p50 us", "p99 us", "CPU us/op", "ratio"
	for (i = 1; i <= rows; i++) {
		if (row_backing[i] != backing)
			continue
		k = backing SUBSEP workload SUBSEP row_target[i]
		if (!(k in count)) {
			printf "  %-22s %s\n", row_target[i], reason[backing, row_target[i]] == "" ? "fio failed" : reason[backing, row_target[i]]
			continue
		}
		note = count[k] < last_round ? sprintf("  only %d of %d rounds", count[k], last_round) : ""
		printf "  %-22s %10.0f %10.0f %10.0f %10.1f %8.2f%s\n", row_target[i], median(mibs ? mib[k] : iops[k]), median(p50[k]),
			median(p99[k]), median(cpu[k]), median(to_thin[k]), note
	}
}

# The ratio of two targets, paired by round.
function ratio_of(backing, workload, target, other,   k, o, r, list) {
	k = backing SUBSEP workload SUBSEP target
	if (!(k in count))
		return ""
	if (other == "thin FUSE")
		return median(to_thin[k])
	o = backing SUBSEP workload SUBSEP other
	for (r = 1; r <= last_round; r++)
		if (((k, r) in iops_in) && ((o, r) in iops_in))
			list = list " " iops_in[k, r] / iops_in[o, r]
	return list == "" ? "" : median(list)
}

END {
	for (p = 1; p <= parts; p++)
		print_part(part_backing[p], part_workload[p])

	printf "\nTargets: ratio reached / wanted, ! = missed, - = not measured\n%-44s", ""
	for (w = 1; w <= 5; w++)
		printf " %17s", workload_names[w]
	printf "\n"
	for (i = 1; i <= wants; i++) {
		printf "%-44s", want_backing[i] ": " want_target[i] " to " want_other[i]
		n = split(want_least[i], least, " ")
		for (w = 1; w <= n; w++) {
			got = ratio_of(want_backing[i], workload_names[w], want_target[i], want_other[i])
			if (got == "")
				unknown++
			else if (got + 0 < least[w] + 0)
				missed++
			else
				met++
			printf " %17s", (got == "" ? "-" : sprintf("%.2f", got)) " / " sprintf("%.2f", least[w]) (got != "" && got + 0 < least[w] + 0 ? " !" : "  ")
		}
		printf "\n"
	}
	printf "%d targets met, %d missed, %d not measured\n", met, missed, unknown
}
