// CGSSAPI: the system's GSSAPI (MIT Kerberos), and one line of C for each macro and variable of it that Swift cannot import.
#ifndef OUTRIGGER_CGSSAPI_H
#define OUTRIGGER_CGSSAPI_H

#include <gssapi/gssapi.h>
#include <gssapi/gssapi_ext.h>
#include <string.h>

static inline gss_OID gssapi_NT_HOSTBASED_SERVICE(void) { return GSS_C_NT_HOSTBASED_SERVICE; }
static inline gss_OID gssapi_NT_USER_NAME(void) { return GSS_C_NT_USER_NAME; }

// RFC 4178 §3.
static inline gss_OID gssapi_mech_spnego(void) {
    static gss_OID_desc oid = {6, "\x2b\x06\x01\x05\x05\x02"};
    return &oid;
}

// 1.3.6.1.4.1.311.2.2.10, as gss-ntlmssp registers it.
static inline gss_OID gssapi_mech_ntlmssp(void) {
    static gss_OID_desc oid = {10, "\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x0a"};
    return &oid;
}

// Whether the status says that the call failed.
static inline int gssapi_failed(OM_uint32 status) { return GSS_ERROR(status) != 0; }
static inline int gssapi_is_complete(OM_uint32 status) { return status == GSS_S_COMPLETE; }

static inline OM_uint32 gssapi_INDEFINITE(void) { return GSS_C_INDEFINITE; }
static inline int gssapi_GSS_CODE(void) { return GSS_C_GSS_CODE; }
static inline int gssapi_MECH_CODE(void) { return GSS_C_MECH_CODE; }

// Zeroes what GSSAPI has given, then gives it back.
static inline void gssapi_wipe_and_release(gss_buffer_t buffer) {
    OM_uint32 minor = 0;
    if (buffer->value != NULL) {
        explicit_bzero(buffer->value, buffer->length);
    }
    (void)gss_release_buffer(&minor, buffer);
}

#endif
