#!/usr/bin/env bash
# slow.sh -- Debian's slowhttptest against the built program, in all its modes.
#
#	tests/interop/slow.sh build/claudecodex
#
# Slow heads, slow bodies, slow reading and ranges, each with as many
# connections as there are slots and more. Through all of it /health must answer
# within two seconds, and afterwards no connection of theirs may be left.
#
# SPDX-License-Identifier: MIT
set -u
program=$1
port=$((20000 + $$ % 20000))
passed=0 failed=0
dir=$(mktemp -d) || exit 1

check() { # OK TEXT
	if [ "$1" -eq 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED $2"
	fi
}

healthy() {
	test "$(curl -s -m 2 -o /dev/null -w '%{http_code}' \
		"http://localhost:$port/health")" = 200
}

# What the program holds open, its listeners left out.
connections() {
	ss -Htn state established "( sport = :$port )" | wc -l
}

# One mode. /health is asked once a second while it goes on.
mode() { # NAME OPTIONS...
	local name=$1 asked=0 answered=0 n=0
	shift
	slowhttptest "$@" -u "http://localhost:$port$path" -c 500 -r 250 -i 1 \
		-l 8 -p 2 -v 1 >"$dir/$name.log" 2>&1 &
	local tool=$!
	while kill -0 $tool 2>/dev/null; do
		asked=$((asked + 1))
		healthy && answered=$((answered + 1))
		sleep 1
	done
	wait $tool
	[ $asked -ge 1 ]
	check $? "$name: it went on for a while ($asked s)"
	[ $answered -eq $asked ]
	check $? "$name: /health answered $answered of $asked times"
	while [ "$(connections)" -gt 0 ] && [ $n -lt 100 ]; do
		n=$((n + 1))
		sleep 0.1
	done
	[ "$(connections)" -eq 0 ]
	check $? "$name: no connection is left"
	healthy
	check $? "$name: /health afterwards"
	kill -0 $server
	check $? "$name: the program lives"
	echo "$name: /health $answered of $asked," \
		"by its own probe: $(sed -n 's/.*service available:[^A-Z]*\([A-Z]*\).*/\1/p' \
		"$dir/$name.log" | tail -n 1)"
}

env -i PATH="$PATH" HOME="$dir" LLM_BACKEND=demo SERVER_PORT=$port \
	LOG_DIR="$dir/logs" HEADER_TIMEOUT=3 BODY_TIMEOUT=3 WRITE_TIMEOUT=3 \
	KEEPALIVE_TIMEOUT=3 "$program" >"$dir/output" 2>&1 &
server=$!
for _ in $(seq 100); do
	healthy && break
	sleep 0.1
done
healthy
check $? "the program starts"

path=/v1/messages
mode headers -H -x 24 -t POST
mode body -B -s 8192 -x 10 -f application/json
path=/dashboard/app.js
mode reading -X -w 1 -y 2 -n 1 -z 1 -k 3
path=/dashboard
mode ranges -R -a 10 -b 3000 -t HEAD

kill -TERM $server
wait $server
check $? "SIGTERM ends it with status 0"
[ $failed -eq 0 ] || tail -n 20 "$dir/output"
rm -rf "$dir"
echo "slow: $passed passed, $failed failed"
[ $failed -eq 0 ]
