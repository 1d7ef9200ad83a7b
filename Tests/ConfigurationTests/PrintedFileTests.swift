// PrintedFileTests.swift: the file that `outrigger check --print-default` prints.
import Configuration
import Model
import Testing

struct PrintedFileTests {
    /// With every setting in force.
    static let uncommented: String = PrintedFile.text.split(separator: "\n", omittingEmptySubsequences: false)
        .map { uncommented($0) }
        .joined(separator: "\n")

    private static func uncommented(_ line: Substring) -> String {
        guard let sign = line.firstIndex(of: "#"), line[..<sign].allSatisfy({ $0 == " " }) else {
            return String(line)
        }
        let rest = line[line.index(after: sign)...]
        return rest.hasPrefix(" ") ? String(line) : String(line[..<sign]) + String(rest)
    }

    private let world = World(
        variables: [("PEER_AUTHORIZATION", "Basic x"), ("API_TOKEN", "t"), ("PARTNER_PASSWORD", "secret")],
        files: [
            "/etc/outrigger/client.pem": World.certificate, "/etc/outrigger/client.key": World.key,
        ]
    )

    @Test func `as it stands it says nothing`() {
        let answer = World().read(PrintedFile.text)
        #expect(answer.problems.isEmpty && answer.settings.named == NamedSettings())
        #expect(answer.settings.workers == 2 && answer.settings.socket.isEmpty)
        #expect("\(answer.settings.limits)" == "\(Limits())")
    }

    @Test func `with every setting uncommented it is fine, and limits are what they are without it`() throws {
        let answer = world.read(Self.uncommented)
        #expect(answer.problems == [])
        #expect("\(answer.settings.limits)" == "\(Limits())")
        #expect(answer.settings.socket == "/run/outrigger.sock" && answer.settings.workers == 1)
        let profile = try #require(answer.settings.named.tlsProfiles["default"])
        #expect(profile.settings.pins.count == 1 && profile.verifyName == "origin.example")
        let route = try #require(answer.settings.named.routes["parent"])
        #expect(route.kind == .peerTunnel && route.endpoints.count == 2 && route.originTLS == profile)
        #expect(route.connectFields.count == 2)
        let credential = try #require(answer.settings.named.credentials["partner"])
        #expect(
            credential.schemes == [.digest, .basic]
                && credential.bearerToken?.isEqual(to: Secret("t")) == true
        )
        #expect(credential.password?.isEqual(to: Secret("secret")) == true)
        // Numbers are the defaults; what has no default is there too.
        var group = NamedGroup()
        group.members = [GroupMember(name: "a", endpoint: .ip(.v4(0xC000_0201), port: 80))]
        group.ejection.statuses = [502...502, 503...504]
        group.retry.statuses = [503...503]
        var check = CheckSettings(kind: .https)
        (check.path, check.host, check.tls) = ("/health", "origin.example", profile)
        group.check = check
        (group.expects.scheme, group.expects.authority) = (.https, "origin.example")
        group.expects.route = route
        #expect(answer.settings.named.groups == ["origins": group])
    }

    @Test func `every setting is in it with range and default`() {
        let lines = PrintedFile.text.split(separator: "\n").map { $0.drop { $0 == " " } }
        for setting in Setting.all {
            let index = lines.firstIndex { $0.hasPrefix("#\(setting.name): ") }
            let before = index.map { lines[$0 - 1] }
            #expect(
                before == "# Value: \(setting.wanted); default: \(setting.defaultText).",
                "\(setting.name)"
            )
        }
    }
}
