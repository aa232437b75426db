/* tls_text.c -- what alerts and BearSSL's errors mean, for the owner.
 *
 * SPDX-License-Identifier: MIT */
#include "tls_parts.h"

struct str tls_alert_text(int alert)
{
	switch (alert) {
	case 40:
		return S("the server accepts none of our ciphers (TLS 1.2 "
		    "with ECDHE and AES-GCM or ChaCha20), or it asks for a "
		    "client certificate");
	case 42:
	case 43:
	case 46:
	case 116:
		return S("the server asks for a client certificate, "
		    "which is not supported");
	case 70:
	case 86:
		return S("the server does not accept TLS 1.2; "
		    "if it accepts TLS 1.3 only, it cannot be used");
	case 80:
		return S("the server reports an internal error");
	case 112:
		return S("the server does not know this host name");
	default:
		return S("the server refused the handshake");
	}
}

struct str tls_certificate_text(int err)
{
	switch (err) {
	case BR_ERR_X509_EXPIRED:
		return S("the certificate, or one that vouches for it, has "
		    "expired or is not valid yet");
	case BR_ERR_X509_BAD_SERVER_NAME:
		return S("the certificate is for another name");
	case BR_ERR_X509_NOT_TRUSTED:
		return S("the certificate's issuer is not known: it is not in "
		    "the CA file, or the server leaves out an intermediate "
		    "certificate");
	case BR_ERR_X509_NOT_CA:
		return S("the certificate is signed by one that may not sign "
		    "(not a CA, or its path length is used up)");
	case BR_ERR_X509_BAD_SIGNATURE:
		return S("a signature in the certificate chain is wrong");
	case BR_ERR_X509_DN_MISMATCH:
		return S("the certificate chain is out of order or broken");
	case BR_ERR_X509_WEAK_PUBLIC_KEY:
		return S("the certificate chain has an RSA key of less than "
		    "2048 bits");
	case BR_ERR_X509_UNSUPPORTED:
		return S("the certificate uses an algorithm that is not "
		    "accepted (SHA-1, MD5) or not supported (RSA-PSS, "
		    "Ed25519)");
	case BR_ERR_X509_CRITICAL_EXTENSION:
		return S("the certificate has a critical extension that is "
		    "not supported");
	case BR_ERR_X509_FORBIDDEN_KEY_USAGE:
	case BR_ERR_X509_WRONG_KEY_TYPE:
		return S("the certificate's key is not for this use");
	case BR_ERR_X509_LIMIT_EXCEEDED:
		return S("the certificate is too large");
	default:
		return S("the certificate is malformed");
	}
}

struct str tls_protocol_text(int err)
{
	switch (err) {
	case BR_ERR_UNSUPPORTED_VERSION:
	case BR_ERR_BAD_VERSION:
		return S("the server does not speak TLS 1.2, or it does not "
		    "speak TLS on this port");
	case BR_ERR_BAD_MAC:
		return S("a record was damaged on the way, or forged");
	case BR_ERR_BAD_SIGNATURE:
		return S("the server's signature is wrong: it does not hold "
		    "the certificate's key");
	case BR_ERR_NO_RANDOM:
		return S("the system gives no random bytes");
	case BR_ERR_BAD_CIPHER_SUITE:
	case BR_ERR_INVALID_ALGORITHM:
		return S("the server chose an algorithm that was not offered");
	case BR_ERR_WRONG_KEY_USAGE:
		return S("the certificate's key is not for this use");
	case BR_ERR_BAD_FINISHED:
		return S("the handshake was tampered with");
	case BR_ERR_TOO_LARGE:
	case BR_ERR_BAD_LENGTH:
		return S("the server sent a record of an impossible length");
	default:
		return S("the server broke the TLS protocol");
	}
}
