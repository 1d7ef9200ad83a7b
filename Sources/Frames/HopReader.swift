// HopReader.swift: the messages Tls and Hop of a REQUEST to the model.
// Owns: which faults end the session and which end the stream. What is absent stays empty: profiles and named routes are
// the engine's. Source: proto/outrigger.proto, messages Tls and Hop.
import COutriggerProto
import Model

extension RequestReader {
    /// One hop's TLS.
    func readTLS(
        _ message: UnsafePointer<Outrigger__V1__Tls>,
        _ unpacked: Unpacked<Outrigger__V1__Request>,
        _ request: inout Request
    ) throws(FrameError) -> TLSRequest {
        var tls = TLSRequest()
        let profileMax = RequestBound.profileBytesMax
        let nameMax = RequestBound.nameBytesMax
        let pathMax = RequestBound.pathBytesMax
        let cipherMax = RequestBound.cipherBytesMax
        // SAFETY: the message's arena is alive.
        let fields = unsafe message.pointee
        tls.profile = try unsafe short(fields.profile, "tls profile", profileMax, unpacked, &request)
        tls.serverName = try unsafe short(fields.server_name, "tls server_name", nameMax, unpacked, &request)
        tls.verifyName = try unsafe short(fields.verify_name, "tls verify_name", nameMax, unpacked, &request)
        let trustPath = try unsafe short(fields.trust_path, "tls trust_path", pathMax, unpacked, &request)
        tls.trust = try unsafe trust(fields.trust, trustPath, &request)
        tls.certificateFile =
            try unsafe short(fields.certificate_path, "tls certificate_path", pathMax, unpacked, &request)
        tls.keyFile = try unsafe short(fields.key_path, "tls key_path", pathMax, unpacked, &request)
        tls.versionMin = try unsafe version(fields.version_min)
        tls.versionMax = try unsafe version(fields.version_max)
        tls.ciphers = try unsafe short(fields.ciphers, "tls ciphers", cipherMax, unpacked, &request)
        tls.cipherSuites =
            try unsafe short(fields.cipher_suites, "tls cipher_suites", cipherMax, unpacked, &request)
        if unsafe fields.n_alpn > RequestBound.protocolsMax { request.refuse("over 8 protocols in alpn") }
        for index in unsafe 0..<min(fields.n_alpn, RequestBound.protocolsMax) {
            let name = try unsafe short(fields.alpn[index], "tls alpn", nameMax, unpacked, &request)
            if name.isEmpty { request.refuse("an empty protocol in alpn") }
            tls.alpn.append(name)
        }
        if unsafe fields.n_spki_sha256 > RequestBound.pinsMax { request.refuse("over 16 in spki_sha256") }
        for index in unsafe 0..<min(fields.n_spki_sha256, RequestBound.pinsMax) {
            let pin = unsafe unpacked.array(fields.spki_sha256[index])
            if pin.count != RequestBound.pinBytes { request.refuse("a spki_sha256 that is not 32 bytes") }
            tls.pins.append(pin)
        }
        tls.requiresStaple = unsafe fields.require_staple != 0
        return tls
    }

    func readHop(
        _ message: UnsafePointer<Outrigger__V1__Hop>,
        _ unpacked: Unpacked<Outrigger__V1__Request>,
        into request: inout Request,
        endpoints: inout EndpointReader
    ) throws(FrameError) {
        var hop = HopRequest()
        // SAFETY: the message's arena is alive.
        let fields = unsafe message.pointee
        hop.name = try unsafe short(fields.name, "hop name", RequestBound.profileBytesMax, unpacked, &request)
        if let tls = unsafe fields.tls { hop.tls = try unsafe readTLS(tls, unpacked, &request) }
        let count = unsafe fields.n_connect_fields
        if count > fieldCountMax { request.refuse("over \(fieldCountMax) connect_fields") }
        for index in 0..<min(count, fieldCountMax) {
            guard let field = unsafe fields.connect_fields[index] else { continue }
            hop.connectFields.append(
                unsafe HeaderField(
                    name: unpacked.array(field.pointee.name),
                    value: secret(field.pointee.value)
                )
            )
        }
        switch unsafe fields.proxy_protocol {
        case OUTRIGGER__V1__PROXY_PROTOCOL__PROXY_PROTOCOL_NONE: hop.proxyProtocol = .none
        case OUTRIGGER__V1__PROXY_PROTOCOL__PROXY_PROTOCOL_V1: hop.proxyProtocol = .v1
        case OUTRIGGER__V1__PROXY_PROTOCOL__PROXY_PROTOCOL_V2: hop.proxyProtocol = .v2
        default: throw .badMessage("proxy_protocol is unknown")
        }
        do throws(EndpointFault) {
            if let source = unsafe fields.proxy_source {
                hop.proxySource = try unsafe endpoints.endpoint(source)
            }
            if let destination = unsafe fields.proxy_destination {
                hop.proxyDestination = try unsafe endpoints.endpoint(destination)
            }
        } catch {
            request.refuse("proxy_source or proxy_destination: \(error.words)")
        }
        request.hop = hop
    }

    /// A text that has a limit.
    private func short(
        _ text: UnsafePointer<CChar>?,
        _ what: StaticString,
        _ bytesMax: Int,
        _ unpacked: Unpacked<Outrigger__V1__Request>,
        _ request: inout Request
    ) throws(FrameError) -> String {
        // SAFETY: the message's arena is alive.
        let words = try unsafe unpacked.text(text, what)
        if words.utf8.count > bytesMax { request.refuse("\(what) over \(bytesMax) bytes") }
        return words
    }

    private func trust(
        _ trust: Outrigger__V1__TlsTrust,
        _ path: String,
        _ request: inout Request
    ) throws(FrameError) -> TLSTrust? {
        let found: TLSTrust?
        switch trust {
        case OUTRIGGER__V1__TLS_TRUST__TLS_TRUST_DEFAULT: found = nil
        case OUTRIGGER__V1__TLS_TRUST__TLS_TRUST_SYSTEM: found = .system
        case OUTRIGGER__V1__TLS_TRUST__TLS_TRUST_FILE: found = .file(path)
        case OUTRIGGER__V1__TLS_TRUST__TLS_TRUST_DIRECTORY: found = .directory(path)
        case OUTRIGGER__V1__TLS_TRUST__TLS_TRUST_NONE: found = .anyone
        default: throw .badMessage("trust is unknown")
        }
        switch found {
        case .file, .directory: if path.isEmpty { request.refuse("tls trust without trust_path") }
        case nil, .system, .anyone: if !path.isEmpty { request.refuse("trust_path without its trust") }
        }
        return found
    }

    private func version(_ version: Outrigger__V1__TlsVersion) throws(FrameError) -> TLSVersion? {
        switch version {
        case OUTRIGGER__V1__TLS_VERSION__TLS_VERSION_DEFAULT: return nil
        case OUTRIGGER__V1__TLS_VERSION__TLS_VERSION_1_2: return .v12
        case OUTRIGGER__V1__TLS_VERSION__TLS_VERSION_1_3: return .v13
        default: throw .badMessage("version of TLS is unknown")
        }
    }
}
