// Base64Tests.swift: one text for one sequence of bytes. Source: RFC 4648 §3.5, §4, §10.
import Authentication
import Model
import Testing

@Suite struct Base64Tests {
    static let vectors = [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ]

    @Test(arguments: vectors) func `RFC 4648 §10 in both directions`(plain: String, code: String) {
        #expect(encoded(Array(plain.utf8)) == code)
        #expect(Base64.encodedCount(plain.utf8.count) == code.utf8.count)
        #expect(Base64.decode(code.utf8.span) == Array(plain.utf8))
    }

    @Test func `every digit of the alphabet`() {
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        let bytes = Base64.decode(alphabet.utf8.span)
        #expect(bytes?.count == 48)
        #expect(encoded(bytes ?? []) == alphabet)
    }

    static let refused = [
        "Z", "Zg", "Zg=", "Zg==A", "Z===", "====", "=Zg=", "Zm=v", "Zm9v=", "Zm9v====", "Zh==", "Zm9=",
        "Zm9v\n",
        "Zm 9", "Zm-_", "Zg==Zg==", "Zm9\u{E9}", "=", "==",
    ]

    @Test(arguments: refused) func `what no encoder writes is refused`(code: String) {
        #expect(Base64.decode(code.utf8.span) == nil)
    }

    @Test(arguments: 0..<64) func `bytes come back`(seed: UInt64) {
        var random = Seeded(state: seed)
        let bytes = random.bytes(Int.random(in: 0...100, using: &random))
        let code = encoded(bytes)
        #expect(Base64.decode(code.utf8.span) == bytes)
        #expect(Base64.decode((code + "=").utf8.span) == nil)
    }

    private func encoded(_ bytes: [UInt8]) -> String {
        var output = ByteBuffer()
        output.append("front")
        Base64.append(bytes.span, to: &output)
        return String(output.text.dropFirst(5))
    }
}
