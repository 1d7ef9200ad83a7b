// GroupForm.swift: groups of tests in few words, and what happens to them.
import Model

@testable import Engine

extension NamedSettings {
    /// The group "g", whose members have the letters of their endpoints as names. No back-off and no slow start.
    static func group(
        _ members: String,
        _ policy: GroupPolicy = .roundRobin,
        _ change: (inout NamedGroup) -> Void = { _ in }
    ) -> NamedSettings {
        var group = NamedGroup()
        group.policy = policy
        group.members = members.map { GroupMember(name: String($0), endpoint: .lettered($0)) }
        group.backOff.baseMilliseconds = 0
        group.slowStartMilliseconds = 0
        change(&group)
        var named = NamedSettings()
        named.groups["g"] = group
        return named
    }
}

extension Rig {
    var groupReports: [GroupReport] { engine.groupReports }

    /// The proxy opens a stream of the group "g".
    func askGroup(_ stream: UInt32, _ session: Int = 0, _ change: (inout Form) -> Void = { _ in }) {
        ask(stream, "", session) { form in
            form.group = "g"
            change(&form)
        }
    }

    /// Several.
    func askGroups(_ streams: ClosedRange<UInt32>) { for stream in streams { askGroup(stream) } }

    /// A stream of the group whose connection, the next socket, is refused.
    func refuseGroup(_ stream: UInt32, _ socket: Int) {
        askGroup(stream)
        fail(socket)
    }

    /// Notes where a request of the group would be dialed, and forgets everything before but such notes.
    func noteNext(_ stream: UInt32 = 99, _ change: (inout Form) -> Void = { _ in }) {
        let notes = lines.filter { $0.hasPrefix("next to") }
        forget()
        askGroup(stream, 0, change)
        let member = lines.first { $0.hasPrefix("dial") }?.last.map { String($0) } ?? "nobody"
        cancel(stream)
        forget()
        for line in notes { note(line) }
        note("next to \(member)")
    }

    /// A stream of the group over a fresh connection, whole.
    func serveGroup(_ stream: UInt32, _ socket: Int) {
        askGroup(stream)
        connect(socket)
        answer(socket)
    }
}
