#!/bin/bash
# deploy.sh -- what is under tools/deploy, asked of the programs it is for.
#
#	tests/interop/deploy.sh		B=build NODE_MODULES=dir
#
# systemd reads and rates the unit, HAProxy its file and then stands before two
# of the program, Kubernetes' schemas take the objects, buildah makes the image,
# and the program runs in it. No daemon is needed; installs them from Debian.
#
# SPDX-License-Identifier: MIT
set -u
B=${B:-build}
here=$PWD/$B/interop/deploy
deploy=tools/deploy
passed=0 failed=0 started=()
rm -rf "$here"
mkdir -p "$here" || exit 1
trap '[ ${#started[@]} -eq 0 ] || kill "${started[@]}" 2>/dev/null' EXIT

check() { # TEXT COMMAND...
	local text=$1
	shift
	if "$@" >"$here/log" 2>&1; then
		passed=$((passed + 1))
		echo "ok     $text"
	else
		failed=$((failed + 1))
		sed 's/^/    /' "$here/log" | tail -n 20
		echo "FAILED $text"
	fi
}

need() { # COMMAND PACKAGE
	command -v "$1" >/dev/null && return 0
	{ apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q \
		install -y --no-install-recommends "$2"; } && command -v "$1"
}

# Rated by systemd from 0, safe, to 10.
exposure() {
	systemd-analyze security --offline=true "$here/claudecodex.service" |
		sed -n 's/.*exposure level.*: \([0-9.]*\).*/\1/p' | {
		read -r level
		echo "exposure: $level"
		[ "${level%.*}" -lt 2 ]
	}
}

quiet() { # COMMAND...: it has nothing to say
	local said
	said=$("$@" 2>&1) && [ -z "$said" ] && return 0
	echo "$said"
	return 1
}

free_port() {
	node -e 'const s = require("net").createServer().listen(0, "127.0.0.1",
		() => { console.log(s.address().port); s.close() })'
}

demo() { # PORT [WRAPPER...]
	local port=$1
	shift
	env -i LLM_BACKEND=demo SERVER_PORT="$port" LOG_DIR= "${@:-$B/claudecodex}" \
		>"$here/$port.log" 2>&1 &
	started+=($!)
}

well() { # PORT [WRAPPER...]: until it says so, at most 10 s
	local port=$1 try
	shift
	for try in $(seq 100); do
		env -i SERVER_PORT="$port" "${@:-$B/claudecodex}" --health && return 0
		sleep 0.1
	done
	echo "not well after $try looks"
	return 1
}

balance() {
	local one two front answer i
	one=$(free_port) two=$(free_port) front=$(free_port)
	demo "$one"
	demo "$two"
	well "$one" && well "$two" || return 1
	sed "s/:8082/:$one/; s/:8083/:$two/; s/:8080/:$front/" \
		$deploy/haproxy.cfg >"$here/haproxy.cfg"
	haproxy -db -f "$here/haproxy.cfg" >"$here/haproxy.log" 2>&1 &
	started+=($!)
	for i in 1 2 3 4; do
		answer=$(node -e 'const ask = n => fetch(process.argv[1], {
			method: "POST", headers: { "content-type": "application/json" },
			body: JSON.stringify({ model: "claude-x", max_tokens: 50,
			messages: [{ role: "user", content: "hi" }] })
			}).then(r => r.text()).catch(e => n ? new Promise(r =>
			setTimeout(r, 100)).then(() => ask(n - 1)) : String(e))
			ask(50).then(console.log)' "http://127.0.0.1:$front/v1/messages")
		case $answer in
		*'"type":"message"'*) ;;
		*) echo "answer $i: $answer"; return 1 ;;
		esac
	done
}

# The user's unit, with what systemd puts for %t; its socket alone is there.
private() {
	local path pid
	path=$(sed -n 's/^Environment=SERVER_SOCKET=%t//p' \
		$deploy/claudecodex-user.service)
	path=/tmp/claudecodex-deploy-$$$path
	(umask 077 && mkdir -p "${path%/*}")
	env -i LLM_BACKEND=demo SERVER_SOCKET="$path" "$B/claudecodex" \
		>"$here/private.log" 2>&1 &
	pid=$!
	started+=("$pid")
	well '' env SERVER_SOCKET="$path" "$B/claudecodex" &&
		[ "$(stat -c %a "$path")" = 600 ] &&
		! grep 'http://localhost:' "$here/private.log" &&
		kill "$pid" && wait "$pid" && rmdir "${path%/*}" \
		"/tmp/claudecodex-deploy-$$"
}

buildah_here() {
	buildah --storage-driver vfs --root "$here/store" --runroot "$here/run" "$@"
}

image() {
	mkdir -p "$here/image"
	{ test -x "$B/static/claudecodex" || make static; } &&
		cp "$B/static/claudecodex" "$here/image/" &&
		cp /etc/ssl/certs/ca-certificates.crt "$here/image/" &&
		buildah_here bud --isolation chroot --format docker \
			-f $deploy/Dockerfile -t claudecodex "$here/image"
}

config_has() { # TEXT...
	local text config
	config=$(buildah_here inspect --type image claudecodex | tr -d '\\ \n')
	for text in "$@"; do
		case $config in
		*"$text"*) ;;
		*) echo "no $text in $config"; return 1 ;;
		esac
	done
}

# Runs in the image's files alone, as its user; asked for health as Docker does.
contained() {
	local root port pid
	root=$(buildah_here mount "$(buildah_here from localhost/claudecodex)") &&
		[ "$(find "$root" -type f | wc -l)" -eq 2 ] || return 1
	port=$(free_port)
	set -- SERVER_HOST=0.0.0.0 PROXY_API_KEY=key-of-the-test \
		"$(PATH=$PATH:/usr/sbin command -v chroot)" \
		--userspec=65534:65534 "$root" /claudecodex
	demo "$port" env "$@"
	pid=${started[-1]}
	well "$port" env "$@" || return 1
	kill "$pid"
	wait "$pid" || return 1
	! env -i SERVER_PORT="$port" "$@" --health
}

check "OpenWrt: a script of sh" sh -n $deploy/openwrt.init
check "shellcheck is here" need shellcheck shellcheck
check "OpenWrt: shellcheck has nothing to say" shellcheck -s sh $deploy/openwrt.init
check "systemd is here" need systemd-analyze systemd
sed "s|/usr/local/bin/claudecodex|$PWD/$B/claudecodex|" \
	$deploy/claudecodex.service >"$here/claudecodex.service"
check "systemd: the unit is right" quiet systemd-analyze verify --man=no \
	"$here/claudecodex.service"
check "systemd: its exposure is below 2 of 10" exposure
sed "s|/usr/local/bin/claudecodex|$PWD/$B/claudecodex|" \
	$deploy/claudecodex-user.service >"$here/claudecodex-user.service"
check "systemd: so is the user's" quiet env XDG_RUNTIME_DIR="$here" \
	systemd-analyze --user verify --man=no "$here/claudecodex-user.service"
check "systemd: which opens a socket and no port" private
check "HAProxy is here" need haproxy haproxy
check "HAProxy: the file is right" haproxy -c -f $deploy/haproxy.cfg
check "HAProxy: answers through it" balance
check "Kubernetes: as the API's schemas say" node tests/interop/kubernetes.mjs \
	$deploy/kubernetes.yaml
sed 's/replicas: 2/replicas: two/' $deploy/kubernetes.yaml >"$here/bad.yaml"
check "Kubernetes: a wrong type is told" bash -c \
	"! node tests/interop/kubernetes.mjs '$here/bad.yaml'"
check "buildah is here" need buildah buildah
check "image: made from the Dockerfile" image
check "image: user, port, health check, entry" config_has \
	'"User":"65534:65534"' '"8082/tcp"' '"Healthcheck":{"Test":["CMD","/claudecodex","--health"]' \
	'"Entrypoint":["/claudecodex"]'
check "image: two files; the program is well in it, and not when ended" contained
echo "deploy: $passed passed, $failed failed"
[ $failed -eq 0 ]
