// ConnectEncoder.swift: CONNECT, for a proxy's own and for the tunnels that routes need.
// Owns: which fields a peer is shown with it. Never touches: the fields of the request inside the tunnel.
// Source: RFC 9110 §9.3.6; RFC 9112 §3.2.3.
import Model

extension RequestEncoder {
    /// Checks field lines for a CONNECT and renders them.
    /// - Parameters:
    ///   - fields: in order. Those that frame a message or belong to the connection are refused.
    ///   - limits: `requestHeadBytesMax` and `fieldCountMax` are used.
    /// - Returns: whole lines, each behind the end of the line before it, as a head has them behind its first line; equal
    ///   only for equal fields.
    /// - Throws: the first reason not to send them.
    package static func connectLines(
        _ fields: [HeaderField],
        limits: Limits
    ) throws(RequestError) -> Secret {
        guard fields.count <= limits.fieldCountMax else {
            throw .tooManyFields(limit: limits.fieldCountMax)
        }
        var lines = ByteBuffer()
        lines.isSecret = true
        defer { lines.wipe() }
        for index in fields.indices {
            let field = fields[index]
            let name = field.name.span
            guard name.isToken else { throw .fieldName(line: index + 1) }
            guard field.value.withBytes({ $0.isFieldValue }) else { throw .fieldValue(line: index + 1) }
            switch FieldName(name) {
            case .other, .authorization, .proxyAuthorization, .proxyConnection: break
            case .te, .host, .expect, .upgrade, .connection, .keepAlive, .contentLength, .transferEncoding:
                throw .connectField(line: index + 1)
            }
            lines.append("\r\n")
            lines.append(name)
            lines.append(": ")
            field.value.withBytes { lines.append($0) }
        }
        guard lines.count <= limits.requestHeadBytesMax else {
            throw .headTooLong(limitBytes: limits.requestHeadBytesMax)
        }
        return Secret(copying: lines.bytes)
    }

    /// Appends a whole CONNECT.
    /// - Parameters:
    ///   - authority: host:port, checked by `checkTunnel`.
    ///   - lines: of `connectLines`; `nil`: none.
    ///   - output: to append to.
    package static func appendConnect(
        authority: Span<UInt8>,
        lines: Secret?,
        into output: inout ByteBuffer
    ) {
        appendConnectLine(authority, into: &output)
        lines?.withBytes { output.append($0) }
        output.append("\r\n\r\n")
    }

    /// Puts `lines` of `connectLines` behind the last field of a CONNECT that `encode` has put at the end of `output`.
    package static func addConnectLines(_ lines: Secret, to output: inout ByteBuffer) {
        output.removeLast(4)
        lines.withBytes { output.append($0) }
        output.append("\r\n\r\n")
    }

    /// Request line and Host; the last line has no end yet.
    static func appendConnectLine(_ authority: Span<UInt8>, into output: inout ByteBuffer) {
        output.append("CONNECT ")
        output.append(authority)
        output.append(" HTTP/1.1\r\nHost: ")
        output.append(authority)
    }
}
