// COpenSSL: the system's OpenSSL 3, and one line of C for each macro of it that Swift cannot import.
// Each shim is named after the macro, with `openssl_` before it.
#ifndef OUTRIGGER_COPENSSL_H
#define OUTRIGGER_COPENSSL_H

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <time.h>

// Constants that are computed.
static const uint64_t openssl_OP_NO_RENEGOTIATION = SSL_OP_NO_RENEGOTIATION;
static const uint64_t openssl_OP_NO_COMPRESSION = SSL_OP_NO_COMPRESSION;
static const uint64_t openssl_OP_IGNORE_UNEXPECTED_EOF = SSL_OP_IGNORE_UNEXPECTED_EOF;
static const uint64_t openssl_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION = SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION;
static const unsigned long openssl_XN_FLAG_RFC2253 = XN_FLAG_RFC2253;
static const int openssl_BIO_TYPE_SOURCE_SINK = BIO_TYPE_SOURCE_SINK;

// Contexts and connections.
static inline long openssl_CTX_set_mode(SSL_CTX *context, long mode) {
    return SSL_CTX_set_mode(context, mode);
}
static inline long openssl_CTX_clear_mode(SSL_CTX *context, long mode) {
    return SSL_CTX_clear_mode(context, mode);
}
static inline int openssl_CTX_set_versions(SSL_CTX *context, int min, int max) {
    return SSL_CTX_set_min_proto_version(context, min) && SSL_CTX_set_max_proto_version(context, max);
}
static inline long openssl_CTX_set_session_cache_mode(SSL_CTX *context, long mode) {
    return SSL_CTX_set_session_cache_mode(context, mode);
}
static inline long openssl_CTX_set_tlsext_status_cb(SSL_CTX *context, int (*callback)(SSL *, void *)) {
    return SSL_CTX_set_tlsext_status_cb(context, callback);
}
static inline long openssl_set_tlsext_host_name(SSL *ssl, const char *name) {
    return SSL_set_tlsext_host_name(ssl, name);
}
static inline long openssl_set_tlsext_status_type(SSL *ssl) {
    return SSL_set_tlsext_status_type(ssl, TLSEXT_STATUSTYPE_ocsp);
}
static inline long openssl_get_tlsext_status_ocsp_resp(SSL *ssl, const unsigned char **response) {
    return SSL_get_tlsext_status_ocsp_resp(ssl, response);
}

// BIOs.
static inline void openssl_BIO_set_retry_read(BIO *bio) { BIO_set_retry_read(bio); }
static inline void openssl_BIO_set_retry_write(BIO *bio) { BIO_set_retry_write(bio); }
static inline void openssl_BIO_clear_retry_flags(BIO *bio) { BIO_clear_retry_flags(bio); }
static inline long openssl_BIO_get_mem_data(BIO *bio, char **bytes) { return BIO_get_mem_data(bio, bytes); }

// OCSP. The id is not changed; OpenSSL 3.0 takes it as if it could be.
static inline OCSP_CERTID *openssl_SINGLERESP_get0_id(const OCSP_SINGLERESP *single) {
    return (OCSP_CERTID *)OCSP_SINGLERESP_get0_id(single);
}

// Digests.
static inline const EVP_MD *openssl_get_digest(const ASN1_OBJECT *algorithm) {
    return EVP_get_digestbyobj(algorithm);
}

// Stacks of certificates.
static inline int openssl_sk_X509_num(const STACK_OF(X509) *certificates) {
    return sk_X509_num(certificates);
}
static inline X509 *openssl_sk_X509_value(const STACK_OF(X509) *certificates, int index) {
    return sk_X509_value(certificates, index);
}

// Time: seconds since 1970. Of a moment that is not well formed: 0, which has passed long ago.
static inline int64_t openssl_seconds(const ASN1_TIME *moment) {
    struct tm parts;
    return moment && ASN1_TIME_to_tm(moment, &parts) ? (int64_t)timegm(&parts) : 0;
}
static inline int64_t openssl_now(void) { return (int64_t)time(NULL); }

// Memory.
static inline void openssl_free(void *memory) { OPENSSL_free(memory); }

#endif
