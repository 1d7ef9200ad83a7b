// CredentialTests.swift: credentials by name whose schemes this machine may not have.
// Source: issue "Local authentication"; Sources/Configuration/Outside.swift.
import Model
import Testing

private func problems(_ fields: String, _ mechanisms: AuthenticationSchemes) -> [String] {
    var world = World()
    world.mechanisms = mechanisms
    world.variables = [("P", "secret")]
    return world.read("credentials: {c: {\(fields)}}").problems
}

struct CredentialTests {
    @Test func `a mechanism that is not there is an error where it is named`() {
        let missing =
            "/etc/o.yaml:1:28: error: credentials: c: schemes: NTLM cannot be spoken by this sidecar on this machine"
        let named = "schemes: [NTLM, Basic], user: u, password: {env: P}"
        #expect(problems(named, .negotiate) == [missing])
        #expect(problems(named, .connectionBound) == [])
    }

    @Test func `one that nobody names is passed over`() throws {
        #expect(problems("user: u, password: {env: P}", []) == [])
        var world = World()
        world.mechanisms = []
        world.variables = [("P", "secret")]
        let settings = world.read("credentials: {c: {user: u, password: {env: P}}}").settings
        let credential = try #require(settings.named.credentials["c"])
        #expect(credential.isAutomatic && credential.schemes.contains(.negotiate))
    }

    @Test func `Negotiate needs no user: the process has one`() {
        #expect(problems("schemes: [Negotiate]", .negotiate) == [])
    }
}
