// Section.swift: the parts of the file. Owns: their list.
// To add a section, add a file with one of these, and name it in `all`.

/// What stands behind one key of the file's top level.
struct Section: Sendable {
    /// The key, and what it is for.
    let key: Key
    /// Reads what stands behind the key.
    let read: @Sendable (Node, inout Reading, inout Settings) -> Void
    /// Looks for contradictions when file, environment and flags have all had their say.
    let check: @Sendable (Settings, inout Reading) -> Void
    /// Its lines in the printed file, the key first. What has a '#' in front and no space behind is a setting
    /// to uncomment.
    let lines: @Sendable () -> [String]

    /// In the order in which they are read: what is referred to comes before what refers to it.
    static let all = [
        process(.socket), process(.adminSocket, check: checkSockets), process(.workers),
        process(.allowedUserIDs), limits, tls,
        routes, groups,
        credentials,
    ]
}

extension Section {
    /// A setting that has no section around it.
    private static func process(
        _ setting: Setting,
        check: @escaping @Sendable (Settings, inout Reading) -> Void = { _, _ in }
    ) -> Section {
        Section(
            key: Key(setting.name, ""),
            read: { node, reading, settings in reading.take(setting, node, &settings) },
            check: check,
            lines: { setting.lines(indent: "") + [""] }
        )
    }

    private static func checkSockets(_ settings: Settings, _ reading: inout Reading) {
        if settings.adminSocket.isEmpty || settings.adminSocket != settings.socket { return }
        let place = Setting.culprit([Setting.socket.name, Setting.adminSocket.name], settings)
        reading.error(place, "admin-socket: socket has the same path")
    }

    private static let limits = Section(
        key: Key("limits", ""),
        read: { node, reading, settings in
            guard let entries = reading.mapping(node, "limits") else { return }
            let fields = reading.fields(entries, "limits", Setting.limits.map(\.name))
            for setting in Setting.limits {
                if let node = fields[setting.name] { reading.take(setting, node, &settings) }
            }
        },
        check: checkLimits,
        lines: {
            [
                "# Limits on connections to upstreams, on the queue and on pins hold for the process, over all workers.",
                "# Of the others each says whose it is: a session's, a request's, a reply's, a worker's.",
                "limits:",
            ] + Setting.limits.flatMap { $0.lines(indent: "  ") } + [""]
        }
    )

    private static func checkLimits(_ settings: Settings, _ reading: inout Reading) {
        let limits = settings.limits
        let room = limits.sessionOutputPauseBytes + 4 * limits.framePayloadBytesMax
        if limits.sessionOutputBytesMax < room {
            let place = Setting.culprit(
                ["session-output-bytes-max", "session-output-pause-bytes", "frame-payload-bytes-max"],
                settings
            )
            reading.error(
                place,
                "session-output-bytes-max: at least \(room), for session-output-pause-bytes and four frames"
            )
        }
        if limits.messageBytesMax < limits.framePayloadBytesMax {
            let place = Setting.culprit(["message-bytes-max", "frame-payload-bytes-max"], settings)
            // Bodies are not unpacked, and are why one wants large frames.
            reading.warn(
                place,
                "message-bytes-max: frames of frame-payload-bytes-max are larger; one that is no body may be refused"
            )
        }
    }
}

extension Setting {
    /// Who is told of a contradiction between settings: the strongest voice; in the file, the last.
    fileprivate static func culprit(_ names: [String], _ settings: Settings) -> Place {
        var culprit = Place.builtIn
        for name in names {
            let place = settings.places[name] ?? .builtIn
            if Place.isWeaker(culprit, place) { culprit = place }
        }
        return culprit
    }

    /// Its lines in the printed file.
    func lines(indent: String) -> [String] {
        let example: String
        switch form {
        case .number(_, let range, let path):
            // A default that depends on the machine has no place in a file; the smallest number has.
            example =
                defaultWords == nil
                ? String(Settings(workers: 1)[keyPath: path]) : String(range.lowerBound)
        case .path:
            example = name == Setting.adminSocket.name ? "/run/outrigger-admin.sock" : "/run/outrigger.sock"
        case .userIDs: example = "[]"
        }
        return [
            "\(indent)# \(help).", "\(indent)# Value: \(wanted); default: \(defaultText).",
            "\(indent)#\(name): \(example)",
        ]
    }
}

extension Reading {
    /// Takes a setting from the file.
    mutating func take(_ setting: Setting, _ node: Node, _ settings: inout Settings) {
        switch setting.form {
        case .number:
            // A number in quotes is a text; who writes that should see it.
            guard case .text(let text, true) = node.content else {
                error(node.mark, "\(setting.name): \(setting.wanted)")
                return
            }
            take(setting, [text], place(node.mark), &settings)
        case .path(let range, _):
            guard let path = filePath(node, setting.name, bytesMax: range.upperBound) else { return }
            take(setting, [path], place(node.mark), &settings)
        case .userIDs:
            guard let nodes = list(node, setting.name, countMax: Setting.userIDCountMax) else { return }
            var texts: [String] = []
            for node in nodes {
                var one = settings
                guard case .text(let text, true) = node.content, setting.set([text], in: &one) == nil else {
                    error(node.mark, "\(setting.name): \(setting.wanted)")
                    continue
                }
                texts.append(text)
            }
            if texts.count == nodes.count { take(setting, texts, place(node.mark), &settings) }
        }
    }
}
