// OctetTests.swift: classes of bytes, searches and known names against the plainest way to say the same.
// Source: RFC 9110 §5.1, §5.5, §5.6.2; RFC 3986 §3.2.2.
import Testing

@testable import HTTP1

@Suite struct OctetTests {
    static let names: [(String, FieldName)] = [
        ("te", .te), ("host", .host), ("expect", .expect), ("upgrade", .upgrade), ("connection", .connection),
        ("keep-alive", .keepAlive), ("content-length", .contentLength),
        ("proxy-connection", .proxyConnection),
        ("transfer-encoding", .transferEncoding), ("proxy-authorization", .proxyAuthorization),
    ]

    @Test(arguments: names) func `a name is known in any case and only whole`(
        _ name: String,
        _ known: FieldName
    ) {
        #expect(FieldName(name.utf8.span) == known)
        #expect(FieldName(name.uppercased().utf8.span) == known)
        let bytes = Array(name.utf8)
        for index in bytes.indices {
            for byte in UInt8(0x21)...0x7E where Octet.isToken(byte) && Octet.lowercased(byte) != bytes[index]
            {
                var changed = bytes
                changed[index] = byte
                #expect(FieldName(changed.span) == .other, "byte \(byte) at \(index)")
            }
        }
        let longer = bytes + [0x73]
        #expect(FieldName(longer.span) == .other)
        let shorter = Array(bytes.dropLast())
        #expect(FieldName(shorter.span) == .other)
    }

    @Test func `a token has the bytes of RFC 9110 §5.6.2`() {
        let digits = "0123456789"
        let letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
        let token = Set("!#$%&'*+-.^_`|~\(digits)\(letters)".utf8)
        let name = Set("-._~!$&'()*+;=\(digits)\(letters)".utf8)
        for byte in UInt8.min...UInt8.max {
            #expect(Octet.isToken(byte) == token.contains(byte))
            #expect(Octet.isName(byte) == name.contains(byte))
        }
    }

    @Test func `a search by eight finds what a search by one finds`() {
        var random = Seeded(7)
        let samples: [UInt8] = [
            0, 0x08, 0x09, 0x0A, 0x0D, 0x1F, 0x20, 0x7E, 0x7F, 0x80, 0x81, 0xA0, 0xFF, 0x41, 0x61,
        ]
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0...24, using: &random)).map { _ in
                samples.randomElement(using: &random) ?? 0
            }
            let start = Int.random(in: 0...bytes.count, using: &random)
            let expected = bytes[start...].firstIndex { $0 < 0x20 || $0 == 0x7F } ?? bytes.count
            #expect(bytes.span.firstControl(from: start) == expected)
            let target = bytes[start...].firstIndex { $0 < 0x21 || $0 == 0x23 } ?? bytes.count
            #expect(bytes.span.firstIndex(below: 0x21, orOf: 0x23, from: start) == target)
        }
    }
    @Test func `letters are passed over up to the first byte that is none`() {
        for byte in UInt8.min...UInt8.max {
            let isPassed = byte == 0x2D || (byte < 0x80 && (0x61...0x7A).contains(byte | 0x20))
            for place in 0..<16 {
                var bytes = [UInt8](repeating: 0x61, count: 20)
                bytes[place] = byte
                // The last whole word ends at 16.
                #expect(bytes.span.endOfLetters(from: 0) == (isPassed ? 16 : place), "\(byte) at \(place)")
                if place < 15 {
                    bytes[place + 1] = 0xFF
                    #expect(bytes.span.endOfLetters(from: 0) == (isPassed ? place + 1 : place))
                }
            }
        }
    }
}
