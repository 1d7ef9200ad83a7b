// TLSTests.swift: the module can be reached.
import TLS
import Testing

@Test func `a new client holds nothing`() {
    let client = TLSClient()
    #expect(client.contextCount == 0 && client.sessionCount == 0)
}
