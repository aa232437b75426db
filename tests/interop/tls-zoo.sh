#!/bin/sh
# tls-zoo.sh -- net/tls against openssl s_server with good and bad certificates.
#
#	tests/interop/tls-zoo.sh [TLS-CLIENT]
#
# Makes a small CA and a cage per kind of certificate, starts a server for
# each in turn and compares the line that tls-client prints with a pattern.
# Needs openssl (1.1.1 or later). Prints "tls-zoo: N passed, N failed".
#
# SPDX-License-Identifier: MIT
set -u
client=${1:-${B:-build}/tests/interop/tls-client}
here=$(mktemp -d) || exit 1
server=
passed=0
failed=0
trap 'test -n "$server" && kill "$server" 2>/dev/null; rm -rf "$here"' EXIT
trap 'exit 1' INT TERM

command -v openssl >/dev/null || { echo "tls-zoo: SKIPPED, no openssl"; exit 0; }
test -x "$client" || { echo "tls-zoo: $client is not built"; exit 1; }

# ---- certificates ----

cat >"$here/ssl.cnf" <<'CNF'
[req]
distinguished_name = dn
[dn]
[ca]
default_ca = issue
[issue]
policy = any
unique_subject = no
rand_serial = yes
email_in_dn = no
[any]
commonName = supplied
CNF
touch "$here/index"

key() { # NAME KIND
	case $2 in
	rsa*) openssl genrsa -out "$here/$1.key" "${2#rsa}" ;;
	*) openssl ecparam -genkey -noout -name "$2" -out "$here/$1.key" ;;
	esac 2>>"$here/log"
}

# issue NAME KEYKIND ISSUER SUBJECT EXTENSIONS [FROM TO] [DIGEST]
issue() {
	test -f "$here/$1.key" || key "$1" "$2"
	printf '[x]\n%b\n' "$5" >"$here/$1.ext"
	openssl req -new -config "$here/ssl.cnf" -key "$here/$1.key" \
		-subj "/CN=$4" -out "$here/$1.csr" 2>>"$here/log"
	if test "$3" = self; then
		by="-selfsign -keyfile $here/$1.key"
	else
		by="-cert $here/$3.crt -keyfile $here/$3.key"
	fi
	# shellcheck disable=SC2086
	openssl ca -batch -notext -config "$here/ssl.cnf" $by \
		-extfile "$here/$1.ext" -extensions x -outdir "$here" \
		-startdate "${6:-20240101000000Z}" \
		-enddate "${7:-20991231000000Z}" -md "${8:-sha256}" \
		-in "$here/$1.csr" -out "$here/$1.crt" 2>>"$here/log" ||
		{ tail -5 "$here/log"; exit 1; }
}
sed -i.old "s|^policy|database = $here/index\npolicy|" "$here/ssl.cnf"

ca='basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign'
leaf='basicConstraints=CA:FALSE\nsubjectAltName=DNS:zoo.test'

make_zoo() {
	issue root prime256v1 self 'Zoo Root' "$ca"
	issue other prime256v1 self 'Other Root' "$ca"
	issue inter prime256v1 root 'Zoo Intermediate' "$ca"
	issue short prime256v1 root 'Zoo Short' \
		'basicConstraints=critical,CA:TRUE,pathlen:0'
	issue deep prime256v1 short 'Zoo Deep' "$ca"
	issue rootrsa rsa4096 self 'Zoo RSA Root' "$ca" '' '' sha512
	issue root521 secp521r1 self 'Zoo P-521 Root' "$ca" '' '' sha512

	issue rootold prime256v1 self 'Zoo Old Root' "$ca" \
		20200101000000Z 20210101000000Z
	issue interold prime256v1 root 'Zoo Old Intermediate' "$ca" \
		20200101000000Z 20210101000000Z

	issue p256 prime256v1 root zoo.test "$leaf"
	issue p384 secp384r1 root zoo.test "$leaf" '' '' sha384
	issue rsa2048 rsa2048 rootrsa zoo.test "$leaf"
	issue rsa4096 rsa4096 rootrsa zoo.test "$leaf"
	issue by521 prime256v1 root521 zoo.test "$leaf" '' '' sha512
	issue chain prime256v1 inter zoo.test "$leaf"
	issue byrootold prime256v1 rootold zoo.test "$leaf"
	issue byinterold prime256v1 interold zoo.test "$leaf"
	issue expired prime256v1 root zoo.test "$leaf" \
		20200101000000Z 20210101000000Z
	issue future prime256v1 root zoo.test "$leaf" \
		20900101000000Z 20990101000000Z
	issue wrong prime256v1 root other.test \
		'subjectAltName=DNS:other.test'
	issue cnonly prime256v1 root zoo.test 'basicConstraints=CA:FALSE'
	issue cnlies prime256v1 root zoo.test 'subjectAltName=DNS:other.test'
	issue wild prime256v1 root wild 'subjectAltName=DNS:*.zoo.test'
	issue nul prime256v1 root zoo.test 'subjectAltName=DER:30:13:82:11:7a:6f:6f:2e:74:65:73:74:00:2e:65:76:69:6c:2e:63:6f'
	issue ip prime256v1 root zoo.test \
		'subjectAltName=DNS:zoo.test,IP:127.0.0.1,IP:2001:db8::1'
	issue dnsip prime256v1 root 127.0.0.1 'subjectAltName=DNS:127.0.0.1'
	issue unknown prime256v1 other zoo.test "$leaf"
	issue notca prime256v1 p256 zoo.test "$leaf"
	issue toodeep prime256v1 deep zoo.test "$leaf"
	issue weak rsa1024 root zoo.test "$leaf"
	issue weakca rsa1024 rootrsa 'Weak CA' "$ca"
	issue byweak prime256v1 weakca zoo.test "$leaf"
	issue sha1 prime256v1 root zoo.test "$leaf" '' '' sha1
	issue md5 rsa2048 rootrsa zoo.test "$leaf" '' '' md5
	issue critical prime256v1 root zoo.test \
		"$leaf\n1.2.3.4.5=critical,DER:05:00"
	issue constrain prime256v1 root 'Zoo Constrained' \
		"$ca\nnameConstraints=critical,permitted;DNS:other.test"
	issue byconstrain prime256v1 constrain zoo.test "$leaf"
	issue encipher rsa2048 rootrsa zoo.test \
		"$leaf\nkeyUsage=critical,keyEncipherment"
	issue selfca prime256v1 self zoo.test \
		"$ca,digitalSignature\nsubjectAltName=DNS:zoo.test"
	issue selfleaf prime256v1 self zoo.test "$leaf"
	# A signature with one bit turned: the last byte of the certificate.
	openssl x509 -in "$here/p256.crt" -outform DER -out "$here/flip.der"
	size=$(wc -c <"$here/flip.der")
	last=$(tail -c 1 "$here/flip.der" | od -An -tu1)
	{ head -c $((size - 1)) "$here/flip.der"
	  # shellcheck disable=SC2059
	  printf "\\$(printf %03o $((last ^ 1)))"; } >"$here/flipped.der"
	openssl x509 -inform DER -in "$here/flipped.der" -out "$here/flip.crt"
	cp "$here/p256.key" "$here/flip.key"
	cat "$here/root.crt" "$here/rootrsa.crt" "$here/root521.crt" \
		>"$here/roots.pem"
}

# ---- servers and checks ----

start() { # NAME OPTIONS...: the certificate and how the server is run
	name=$1
	shift
	for try in 1 2 3 4 5; do
		port=$((20000 + ($$ * 7 + passed * 13 + failed + try * 101) % 20000))
		rm -f "$here/server"	# what an earlier one said
		openssl s_server -accept "$port" -cert "$here/$name.crt" \
			-key "$here/$name.key" -www "$@" \
			>"$here/server" 2>&1 &
		server=$!
		for _ in 1 2 3 4 5 6 7 8 9 10; do
			grep -qs ACCEPT "$here/server" && return 0
			kill -0 "$server" 2>/dev/null || break
			sleep 0.1
		done
		kill "$server" 2>/dev/null
	done
	echo "tls-zoo: s_server does not start: $(cat "$here/server")"
	exit 1
}

stop() {
	kill "$server" 2>/dev/null
	wait "$server" 2>/dev/null
	server=
}

expect() { # LABEL PATTERN CLIENT-OPTIONS... HOST
	label=$1
	pattern=$2
	shift 2
	"$client" -c "$here/roots.pem" "$@" "$port" >"$here/out" 2>&1
	if grep -Eq -- "$pattern" "$here/out"; then
		passed=$((passed + 1))
		test -z "${V:-}" || echo "ok $label: $(tail -1 "$here/out")"
	else
		failed=$((failed + 1))
		echo "FAILED: $label: want $pattern"
		sed 's/^/	got: /' "$here/out"
	fi
}

# check CERTIFICATE PATTERN HOST [SERVER-OPTIONS...]
check() {
	cert=$1 want=$2 host=$3
	shift 3
	start "$cert" "$@"
	expect "$cert $host $*" "$want" "$host"
	stop
}

make_zoo

# What has to work, over each kind of key and each suite of the profile.
good='^open ECDHE-[A-Z0-9-]+ full bytes=[1-9][0-9]* closed'
check p256 "$good" zoo.test
check p256 "$good" ZOO.test
check p256 "$good" zoo.test.
check p384 "$good" zoo.test
check rsa2048 "$good" zoo.test
check rsa4096 "$good" zoo.test
check by521 "$good" zoo.test
check chain "$good" zoo.test -cert_chain "$here/inter.crt"
check wild "$good" a.zoo.test
check cnonly "$good" zoo.test
check ip "$good" 127.0.0.1
check ip "$good" 2001:db8::1
check ip "$good" zoo.test
for suite in ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384 \
	ECDHE-RSA-CHACHA20-POLY1305; do
	check rsa2048 "^open $suite" zoo.test -tls1_2 -cipher $suite
done
for suite in ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 \
	ECDHE-ECDSA-CHACHA20-POLY1305; do
	check p256 "^open $suite" zoo.test -tls1_2 -cipher $suite
done
for curve in X25519 P-256 P-384; do
	check p256 "$good" zoo.test -tls1_2 -named_curve $curve
done
check p256 "$good" zoo.test -alpn http/1.1
check p256 "$good" zoo.test -num_tickets 0 -no_ticket

# What must be refused, with a word on why.
no='^failed zoo.test: '
check expired "${no}.*expired.*clock says 20[0-9][0-9]-[01][0-9]-[0-3][0-9]$" zoo.test
check future "${no}.*not valid yet" zoo.test
check wrong "${no}.*another name" zoo.test
check cnlies "${no}.*another name" zoo.test
check nul "${no}.*another name" zoo.test
check wild '^failed zoo.test: .*another name' zoo.test
check wild '^failed b.a.zoo.test: .*another name' b.a.zoo.test
check p256 '^failed 127.0.0.1: .*another name' 127.0.0.1
check ip '^failed 127.0.0.2: .*another name' 127.0.0.2
check ip '^failed 2001:db8::2: .*another name' 2001:db8::2
check dnsip '^failed 127.0.0.1: .*another name' 127.0.0.1
check unknown "${no}.*issuer is not known" zoo.test
check selfleaf "${no}.*issuer is not known" zoo.test
check selfca "${no}.*issuer is not known" zoo.test
check chain "${no}.*issuer is not known" zoo.test
check notca "${no}.*may not sign" zoo.test -cert_chain "$here/p256.crt"
cat "$here/deep.crt" "$here/short.crt" >"$here/deep.pem"
check toodeep "${no}.*may not sign" zoo.test -cert_chain "$here/deep.pem"
check weak "${no}.*less than 2048" zoo.test -cipher ALL:@SECLEVEL=0
check byweak "${no}.*less than 2048" zoo.test -cert_chain "$here/weakca.crt" \
	-cipher ALL:@SECLEVEL=0
check sha1 "${no}.*not accepted" zoo.test -cipher ALL:@SECLEVEL=0
check md5 "${no}.*not accepted" zoo.test -cipher ALL:@SECLEVEL=0
check byinterold "${no}.*expired" zoo.test -cert_chain "$here/interold.crt"
# In order alone: what stands between is taken for the next issuer.
cat "$here/other.crt" "$here/inter.crt" >"$here/mixed.pem"
check chain "${no}.*out of order" zoo.test \
	-cert_chain "$here/mixed.pem"
check critical "${no}.*critical extension" zoo.test
check byconstrain "${no}.*critical extension" zoo.test \
	-cert_chain "$here/constrain.crt"
check encipher "${no}.*not for this use" zoo.test
check flip "${no}.*issuer is not known|${no}.*signature" zoo.test
check p256 "${no}.*does not accept TLS 1.2" zoo.test -tls1_3
check p256 "${no}.*TLS 1.2" zoo.test -tls1_1 -cipher ALL:@SECLEVEL=0
check rsa2048 "${no}.*none of our ciphers" zoo.test -tls1_2 -cipher AES128-SHA
check rsa2048 "${no}.*none of our ciphers" zoo.test -tls1_2 \
	-cipher AES128-GCM-SHA256
check p256 "${no}.*none of our ciphers" zoo.test -tls1_2 -named_curve P-521
check p256 "${no}.*client certificate|${no}.*refused" zoo.test -Verify 1 \
	-verify_return_error

# Clocks, bundles, sessions.
start p256
expect 'clock of 1970' "${no}.*says 1970-01-01, so it is not set" -t 0 zoo.test
expect 'clock of 2100' "${no}.*clock says 2100-01-01$" -t 4102444800 zoo.test
expect 'clock of 2040' "$good" -t 2208988800 zoo.test
expect 'no such bundle' "${no}no CA certificates.*/nowhere/ca.pem" \
	-c /nowhere/ca.pem zoo.test
expect 'empty bundle' "${no}no CA certificates.*nothing usable" \
	-c /dev/null zoo.test
expect 'system bundle' "${no}" -c '' zoo.test
expect 'an empty name' '^failed not a host name' ''
expect 'a name of blanks' '^failed not a host name' 'zoo test'
stop
start selfleaf
expect 'trusted by itself' "$good" -c "$here/selfleaf.crt" zoo.test
expect 'trusted by itself, other name' 'another name' \
	-c "$here/selfleaf.crt" other.test
stop
start selfca
expect 'CA that serves' "$good" -c "$here/selfca.crt" zoo.test
stop
# A root's own dates aren't looked at: the README says so.
start byrootold
expect 'by an expired root' "$good" -c "$here/rootold.crt" zoo.test
stop
start p256 -tls1_2 -no_ticket
expect 'a session is resumed' 'resumed bytes=[1-9]' -n 2 zoo.test
stop
start p256 -tls1_2 -no_ticket -no_cache
expect 'no session to resume' "$good" -n 2 zoo.test
test "$(grep -c full "$here/out")" = 2 || failed=$((failed + 1))
stop

echo "tls-zoo: $passed passed, $failed failed"
test "$failed" = 0
