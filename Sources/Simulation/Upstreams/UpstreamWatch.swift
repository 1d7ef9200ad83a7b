// UpstreamWatch.swift: compares what an upstream reads with what the proxy sent.
import Model

extension SimWorld {
    /// - Returns: whose request it is; `nil` when it does not say, which is reported.
    func upstreamReadHead(_ head: ParsedHead, link: Int) -> Int? {
        guard let request = head.requestID, record.requests.indices.contains(request) else {
            observe(.malformedRequest(link: link, reason: "no X-Request in \(head)"))
            return nil
        }
        let plan = record.requests[request].plan
        func expect(_ holds: Bool, _ reason: String) {
            if !holds && !plan.isHostile {
                observe(.foreignRequest(request: request, link: link, reason: reason))
            }
        }
        let isInAbsoluteForm = head.target.hasPrefix("http") || head.method == "CONNECT"
        observe(.requestRead(request: request, link: link, isInAbsoluteForm: isInAbsoluteForm))
        var peerFields = peerFields(head)
        if sabotages(.leakPeerField, when: { !plan.isConnect }) { peerFields.append("X-Peer: a") }
        let shown = plan.isConnect ? plan.way.connectFields.map { "\($0.name): \($0.value)" } : []
        expect(peerFields == shown, "fields for a peer \(peerFields), not \(shown)")
        expect(head.method == plan.method, "method \(head.method)")
        expect(head.target == plan.requestTarget, "target \(head.target)")
        expect(head.values("host") == [plan.authority], "Host \(head.values("host"))")
        expect(head.values("cookie") == ["owner=\(request)"], "Cookie \(head.values("cookie"))")
        expect(head.values("keep-alive").isEmpty, "Keep-Alive was passed on")
        expect(plan.flaw == nil, "it must not be sent: \(String(describing: plan.flaw))")
        let lengths = head.values("content-length")
        switch plan.body {
        case .none: expect(lengths.isEmpty || lengths == ["0"], "Content-Length \(lengths) without a body")
        case .length(let length): expect(lengths == ["\(length)"], "Content-Length \(lengths)")
        case .chunked: expect(head.values("transfer-encoding") == ["chunked"], "no Transfer-Encoding")
        }
        return request
    }

    /// Lines that only a peer may see.
    private func peerFields(_ head: ParsedHead) -> [String] {
        head.fields.filter { ["proxy-authorization", "x-peer"].contains($0.name.lowercased()) }
            .map { "\($0.name): \($0.value)" }
    }

    /// A CONNECT that the engine sends for itself: it shows nothing of the request that is to follow.
    func upstreamReadConnect(_ head: ParsedHead, link: Int) {
        let fields = head.fields.filter { $0.name != "Host" }.map { "\($0.name): \($0.value)" }
        observe(.connectRead(link: link, SeenTunnel(authority: head.target, fields: fields)))
        if fields != peerFields(head) || head.values("host") != [head.target] {
            observe(.malformedRequest(link: link, reason: "CONNECT shows \(head.fields)"))
        }
    }

    /// - Returns: whether there is such a request.
    func upstreamReadTag(_ request: Int, link: Int) -> Bool {
        guard record.requests.indices.contains(request) else {
            observe(.malformedRequest(link: link, reason: "the tag of no request"))
            return false
        }
        observe(.requestRead(request: request, link: link, isInAbsoluteForm: false))
        if !record.requests[request].plan.isRaw {
            observe(.foreignRequest(request: request, link: link, reason: "it is no raw CONNECT"))
        }
        return true
    }

    func upstreamRead(_ bytes: [UInt8], of request: Int, at offset: Int, link: Int) {
        guard !record.requests[request].plan.isHostile else { return }
        if let place = Pattern(request: request).mismatch(bytes.span, at: offset) {
            observe(.foreignRequest(request: request, link: link, reason: "body byte \(place) is another"))
        }
    }

    func upstreamReadTrailers(_ section: ParsedHead, of request: Int, link: Int) {
        let plan = record.requests[request].plan
        if !plan.hasTrailers || section.values("x-request-trailer") != ["\(request)"] {
            observe(.foreignRequest(request: request, link: link, reason: "trailers \(section.fields)"))
        }
    }

    func upstreamReadWhole(_ request: Int, bodyBytes: Int, link: Int) {
        let plan = record.requests[request].plan
        guard !plan.isHostile, bodyBytes != plan.bodyBytes else { return }
        let reason = "whole with \(bodyBytes) of \(plan.bodyBytes) body bytes"
        observe(.foreignRequest(request: request, link: link, reason: reason))
    }
}
