// StapleTests.swift: the OCSP response that a server has to show.
import COpenSSL
import Model
import TLS
import Testing

@Suite struct StapleTests {
    struct Case: CustomTestStringConvertible, Sendable {
        let rule: String
        var form = StapleForm()
        var about = Issued.good
        var signer = Issued.root
        /// The words without subject; nil: accepted.
        let words: String?

        init(_ rule: String, _ words: String?, _ change: (inout Case) -> Void = { _ in }) {
            self.rule = rule
            self.words = words
            change(&self)
        }

        var testDescription: String { rule }
    }

    static let cases = [
        Case("good, signed by the issuer", nil),
        Case("good, signed by whom the issuer authorised", nil) { $0.signer = Issued.responder },
        Case("the certificate is named by other digests", nil) { $0.form.hashesWithSHA256 = true },
        Case("revoked", "certificate is revoked") { $0.form.status = V_OCSP_CERTSTATUS_REVOKED },
        Case("revoked with a reason", "certificate is revoked: keyCompromise") {
            $0.form.status = V_OCSP_CERTSTATUS_REVOKED
            $0.form.reason = OCSP_REVOKED_STATUS_KEYCOMPROMISE
        },
        Case("unknown", "OCSP staple: responder does not know the certificate") {
            $0.form.status = V_OCSP_CERTSTATUS_UNKNOWN
        },
        Case("for another certificate of the issuer", "OCSP staple is for another certificate") {
            $0.about = Issued.withoutNames
        },
        Case("signed by a certificate for something else", "OCSP staple is not validly signed: ") {
            $0.signer = Issued.falseResponder
        },
        Case("signed by another authority", "OCSP staple is not validly signed: ") {
            $0.signer = Issued.otherRoot
        },
        Case("signed by the certificate itself", "OCSP staple is not validly signed: ") {
            $0.signer = Issued.good
        },
        Case("within five minutes after its end", nil) {
            $0.form.thisUpdate = -3600
            $0.form.nextUpdate = -290
        },
        Case("five minutes after its end", "OCSP staple is out of date: ") {
            $0.form.thisUpdate = -3600
            $0.form.nextUpdate = -310
        },
        Case("within five minutes before its begin", nil) { $0.form.thisUpdate = 290 },
        Case("five minutes before its begin", "OCSP staple is out of date: ") { $0.form.thisUpdate = 310 },
        Case("without end, new", nil) { $0.form.nextUpdate = nil },
        Case("without end, five minutes old", "OCSP staple is out of date: ") {
            $0.form.nextUpdate = nil
            $0.form.thisUpdate = -310
        },
    ]

    static let versions = [TLS1_2_VERSION, TLS1_3_VERSION]

    @Test(arguments: cases, versions) func `a required staple has to be good and current`(
        row: Case,
        version: Int32
    ) {
        let server = Server(form(version, row.form.bytes(about: row.about, signedBy: row.signer)))
        switch outcome(peer { $0.requiresStaple = true }, server) {
        case .success: #expect(row.words == nil)
        case .failure(let failure):
            #expect(failure.kind == .verify && row.words != nil)
            #expect(
                failure.detail.hasPrefix(row.words ?? "") && failure.detail.hasSuffix("; subject CN=good"),
                "\(failure.detail)"
            )
        }
    }

    @Test(arguments: versions) func `a required staple has to be there`(version: Int32) {
        let words = TLSFailure(.verify, "no OCSP staple, or none that can be read; subject CN=good")
        #expect(outcome(peer { $0.requiresStaple = true }, Server(form(version, []))) == .failure(words))
        #expect(
            outcome(peer { $0.requiresStaple = true }, Server(form(version, [1, 2, 3]))) == .failure(words)
        )
    }

    @Test(arguments: versions) func `a staple that is not required is not looked at`(version: Int32) {
        #expect(throws: Never.self) { try outcome(peer(), Server(form(version, [1, 2, 3]))).get() }
    }

    @Test(arguments: versions) func `a session resumes without a new staple, but not past the end of the old`(
        version: Int32
    ) {
        var client = TLSClient()
        for (end, resumes) in [(3600, true), (-290, true), (nil, false)] {
            let staple = StapleForm(thisUpdate: end == nil ? -60 : -3600, nextUpdate: end).bytes(
                about: Issued.good,
                signedBy: Issued.root
            )
            let context = ServerContext(form(version, staple))
            let identity = peer { $0.requiresStaple = true }
            let scope = [UInt8(truncatingIfNeeded: end ?? 1)]
            _ = outcome(&client, identity, scope: scope, Server(context))
            let second = try? outcome(&client, identity, scope: scope, Server(context)).get()
            #expect(second?.isResumed == resumes, "\(end ?? 0)")
        }
    }

    private func form(_ version: Int32, _ staple: [UInt8]) -> ServerForm {
        var form = ServerForm()
        form.versionMin = version
        form.versionMax = version
        form.staple = staple
        return form
    }
}
