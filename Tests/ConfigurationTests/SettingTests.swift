// SettingTests.swift: the settings that file, environment and flags can say alike.
import Configuration
import Model
import Testing

private let numberRows = [
    Row("the least", "workers: 1"),
    Row("the most", "workers: 1024"),
    Row("too little", "workers: 0", "1:10: error: workers: 1 to 1024"),
    Row("too much", "workers: 1025", "1:10: error: workers: 1 to 1024"),
    Row("more than 64 bits", "workers: 99999999999999999999", "1:10: error: workers: 1 to 1024"),
    Row("a sign", "workers: +2", "1:10: error: workers: 1 to 1024"),
    Row("quotes", "workers: \"2\"", "1:10: error: workers: 1 to 1024"),
    Row("hexadecimal", "workers: 0x10", "1:10: error: workers: 1 to 1024"),
    Row("digits of another script", "workers: ٣", "1:10: error: workers: 1 to 1024"),
    Row("a unit", "workers: 2s", "1:10: error: workers: 1 to 1024"),
    Row("nothing", "workers:", "1:9: error: workers: 1 to 1024"),
    Row("a list", "workers: [2]", "1:10: error: workers: 1 to 1024"),
    Row(
        "users",
        "allow-uid: [0, 4294967296, x, -1]",
        "1:16: error: allow-uid: numbers from 0 to 4294967295",
        "1:28: error: allow-uid: numbers from 0 to 4294967295",
        "1:31: error: allow-uid: numbers from 0 to 4294967295"
    ),
    Row(
        "a user without a list",
        "allow-uid: 7",
        "1:12: error: allow-uid: a list is wanted here, such as [a, b]"
    ),
    Row("no users", "allow-uid: []"),
    Row("a long path", "socket: /" + String(repeating: "a", count: 106)),
    Row(
        "a path too long",
        "socket: /" + String(repeating: "a", count: 107),
        "1:9: error: socket: 1 to 107 bytes"
    ),
    Row(
        "a path too long with its folder",
        "socket: " + String(repeating: "a", count: 105),
        "1:9: error: socket: with the file's folder it is longer than 107 bytes"
    ),
    Row("an empty path", "socket: ''", "1:9: error: socket: 1 to 107 bytes"),
    Row("NUL in a path", #"socket: "/a\0b""#, "1:9: error: socket: a control character does not belong here"),
    Row("no path", "socket: {}", "1:9: error: socket: a text is wanted here"),
    Row(
        "two sockets at one path",
        "socket: /run/o.sock\nadmin-socket: /run/o.sock",
        "2:15: error: admin-socket: socket has the same path"
    ),
    Row(
        "limits in wrong order",
        "limits: {session-output-bytes-max: 65536}",
        "1:36: error: session-output-bytes-max: at least 1048576, for session-output-pause-bytes and four frames"
    ),
    Row(
        "limits in wrong order, the other way round",
        "limits: {session-output-pause-bytes: 67108864}",
        "1:38: error: session-output-bytes-max: at least 67633152, for session-output-pause-bytes and four frames"
    ),
    Row(
        "frames larger than messages",
        "limits: {frame-payload-bytes-max: 1048576}",
        "1:35: warning: message-bytes-max: frames of frame-payload-bytes-max are larger; one that is no body may be "
            + "refused"
    ),
    Row(
        "unknown and near",
        "limits: {idle-miliseconds: 1, idle_max: 2, conections-max: 3, IDLE-MAX: 4}",
        "1:10: error: limits: unknown key 'idle-miliseconds'; did you mean idle-milliseconds?",
        "1:31: error: limits: unknown key 'idle_max'; did you mean idle-max?",
        "1:44: error: limits: unknown key 'conections-max'; did you mean connections-max?",
        "1:63: error: limits: unknown key 'IDLE-MAX'; did you mean idle-max?"
    ),
    Row("unknown and far", "frobnicate: 1", "1:1: error: unknown key 'frobnicate'"),
    Row("unknown and dangerous", #""a\e[2J\nb": 1"#, "1:1: error: unknown key 'a?[2J?b'"),
    Row(
        "unknown and long",
        String(repeating: "x", count: 90) + ": 1",
        "1:1: error: unknown key '" + String(repeating: "x", count: 40) + "…'"
    ),
]

struct SettingTests {
    @Test(arguments: numberRows) func `a value is in its range, or its place is told`(_ row: Row) {
        #expect(World().read(row.text).problems == row.problems)
    }

    @Test func `every limit is a setting of its own, in the order of Limits and under its name`() {
        var names: [String] = []
        for child in Mirror(reflecting: Limits()).children {
            names.append(
                (child.label ?? "").reduce(into: "") {
                    $0 += $1.isUppercase ? "-\($1.lowercased())" : "\($1)"
                }
            )
        }
        #expect(Setting.limits.map(\.name) == names)
    }

    @Test(arguments: Setting.limits) func `a limit sets what its name says and nothing else`(
        _ setting: Setting
    ) throws {
        let range = try #require(setting.range)
        let values = Mirror(reflecting: Limits()).children.compactMap { $0.value as? Int }
        let index = try #require(Setting.limits.firstIndex { $0.name == setting.name })
        #expect(range.contains(values[index]), "the default")
        let value = values[index] == range.lowerBound ? range.lowerBound + 1 : range.lowerBound
        var expected = values
        expected[index] = value
        let answer = World().read("limits: {\(setting.name): \(value)}")
        #expect(
            Mirror(reflecting: answer.settings.limits).children.compactMap { $0.value as? Int } == expected
        )
    }

    @Test func `a unit is said where the name has one`() {
        for setting in Setting.limits {
            #expect(setting.name.contains("bytes") == setting.wanted.hasSuffix(" bytes"), "\(setting.name)")
            #expect(
                setting.name.hasSuffix("milliseconds") == setting.wanted.hasSuffix(" milliseconds"),
                "\(setting.name)"
            )
        }
    }

    @Test func `variables are stronger than the file, flags stronger than both, one setting at a time`() {
        var world = World()
        let text =
            "{socket: /file, workers: 3, allow-uid: [1, 2], limits: {idle-max: 5, queue-length-max: 6}}"
        let file = world.read(text)
        #expect(file.problems.isEmpty)
        #expect(file.settings.socket == "/file" && file.settings.workers == 3)
        #expect(file.settings.allowedUserIDs == [1, 2])
        world.variables = [
            ("OUTRIGGER_SOCKET", "/variable"), ("OUTRIGGER_WORKERS", "4"), ("OUTRIGGER_ALLOW_UID", "3,4"),
            ("OUTRIGGER_IDLE_MAX", "7"), ("OUTRIGGER_CONFIG", "/etc/o.yaml"),
        ]
        let variables = world.read(text)
        #expect(variables.problems.isEmpty)
        #expect(variables.settings.socket == "/variable" && variables.settings.workers == 4)
        #expect(variables.settings.allowedUserIDs == [3, 4] && variables.settings.limits.idleMax == 7)
        #expect(variables.settings.limits.queueLengthMax == 6)
        world.flags = [(.workers, ["5"]), (.allowedUserIDs, ["6"])]
        let flags = world.read(text)
        #expect(flags.settings.workers == 5 && flags.settings.allowedUserIDs == [6])
        #expect(flags.settings.socket == "/variable" && flags.settings.limits.idleMax == 7)
    }

    @Test(arguments: [
        ("OUTRIGGER_WORKER", "2", "unknown variable; did you mean OUTRIGGER_WORKERS?"),
        ("OUTRIGGER_IDLE_MILISECONDS", "2", "unknown variable; did you mean OUTRIGGER_IDLE_MILLISECONDS?"),
        ("OUTRIGGER_CONFIGURATION_OF_ALL", "2", "unknown variable"),
        ("OUTRIGGER_WORKERS", "0", "workers: 1 to 1024"), ("OUTRIGGER_WORKERS", "", "workers: 1 to 1024"),
        ("OUTRIGGER_WORKERS", " 2", "workers: 1 to 1024"),
        ("OUTRIGGER_SOCKET", "", "socket: a path of 1 to 107 bytes"),
        ("OUTRIGGER_ALLOW_UID", "1,,2", "allow-uid: numbers from 0 to 4294967295"),
        (
            "OUTRIGGER_SESSION_OUTPUT_BYTES_MAX", "65536",
            "session-output-bytes-max: at least 1048576, for session-output-pause-bytes and four frames"
        ),
    ])
    func `a variable that is wrong is named`(_ name: String, _ value: String, _ problem: String) {
        let world = World(variables: [(name, value)])
        #expect(world.read("").problems == ["environment: \(name): error: \(problem)"])
    }

    @Test func `what Kubernetes sets for a service called outrigger is not ours`() {
        let names = [
            "PORT", "PORT_80_TCP", "PORT_80_TCP_ADDR", "SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP",
        ]
        #expect(
            World(variables: names.map { ("OUTRIGGER_" + $0, "tcp://10.0.0.1:80") }).read("").problems.isEmpty
        )
    }

    @Test func `problems of the file come first, then the environment's, then the flags'`() {
        let world = World(variables: [("OUTRIGGER_WORKERS", "0")], flags: [(.socket, [""])])
        #expect(
            world.read("\n\nworker: 1").problems == [
                "/etc/o.yaml:3:1: error: unknown key 'worker'; did you mean workers?",
                "environment: OUTRIGGER_WORKERS: error: workers: 1 to 1024",
                "--socket: error: socket: a path of 1 to 107 bytes",
            ]
        )
    }

    @Test func `the strongest voice is told of a contradiction`() {
        let world = World(flags: [(Setting.limits[0], ["1048576"]), (Setting.limits[6], ["1048576"])])
        #expect(
            world.read("limits: {session-output-bytes-max: 1048576}").problems == [
                "--frame-payload-bytes-max: error: session-output-bytes-max: at least 4718592, for "
                    + "session-output-pause-bytes and four frames"
            ]
        )
    }

    @Test func `relative paths are taken from the file's folder`() {
        for (path, socket) in [
            ("/etc/o/o.yaml", "/etc/o/x.sock"), ("o.yaml", "x.sock"), ("a/o.yaml", "a/x.sock"),
        ] {
            #expect(World().read("socket: x.sock", path: path).settings.socket == socket)
        }
    }
}
