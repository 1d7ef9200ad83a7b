// ChallengeOracle.swift: challenges are what a slow reader makes of them that cuts a value at its commas
// first.
// Source: RFC 9110 §5.6.4, §11.2, §11.3.
import Authentication
import Model

extension FuzzOracles {
    /// All bytes are one field value.
    public static func checkChallenges(_ input: Span<UInt8>) {
        let bytes = input.array
        if let difference = challengeDifference(bytes) { preconditionFailure(difference) }
    }

    /// What the two readers do not agree upon; `nil`: they agree.
    public static func challengeDifference(_ value: [UInt8]) -> String? {
        let slow = SlowReader(value)
        let expected = slow.challenges.filter { !$0.isBroken && $0.scheme != .other }
        // Something in front, so that an offset that is forgotten shows.
        let block = Array("front".utf8) + value
        var list = ChallengeList(side: .origin)
        list.read(Slice(start: 5, count: value.count), in: block.span)
        if list.limit != nil { return nil }
        let actual = list.challenges.map { PlainChallenge($0, list, block.span) }
        if actual != expected.map(PlainChallenge.init) { return "\(actual) is not \(expected)" }
        let isBound = slow.challenges.contains { $0.scheme == .ntlm || $0.scheme == .negotiate }
        if ConnectionBound.isConnectionBound(fieldValue: value.span) != isBound {
            return "bound: not \(isBound)"
        }
        return nil
    }
}

/// A challenge without slices.
private struct PlainChallenge: Equatable {
    let scheme: ChallengeScheme
    let token68: [UInt8]?
    let names: [[UInt8]]
    let values: [[UInt8]]

    init(_ challenge: Challenge, _ list: ChallengeList, _ block: Span<UInt8>) {
        scheme = challenge.scheme
        token68 = challenge.token68.map { block.extracting($0).array }
        let parameters = list.parameters[challenge.parameters]
        names = parameters.map { block.extracting($0.name).array }
        values = parameters.map { parameter in
            let lowercase = block.extracting(parameter.name).array.lowercased
            return list.value(String(decoding: lowercase, as: UTF8.self), of: challenge, in: block) ?? []
        }
    }

    init(_ slow: SlowChallenge) {
        scheme = slow.scheme
        token68 = slow.token68
        names = slow.names
        values = slow.values
    }
}

private struct SlowChallenge {
    var scheme: ChallengeScheme
    var token68: [UInt8]?
    var names: [[UInt8]] = []
    var values: [[UInt8]] = []
    var isBroken = false
}

/// Cuts a value into elements, and each element by the grammar.
private struct SlowReader {
    private(set) var challenges: [SlowChallenge] = []

    init(_ value: [UInt8]) {
        for element in Self.elements(value) where !element.isEmpty { take(element) }
    }

    /// Parts between the commas that are in no quoted string, without the blanks at their ends.
    private static func elements(_ value: [UInt8]) -> [[UInt8]] {
        var elements: [[UInt8]] = [[]]
        var rest = value[...]
        var quotes = true
        while let byte = rest.first {
            if byte == 0x22, quotes {
                if let string = quotedString(rest) {
                    elements[elements.count - 1] += string
                    rest = rest.dropFirst(string.count)
                    continue
                }
                quotes = false
            }
            rest = rest.dropFirst()
            if byte == 0x2C { elements.append([]) } else { elements[elements.count - 1].append(byte) }
        }
        return elements.map { Array($0.drop(while: isBlank).reversed().drop(while: isBlank).reversed()) }
    }

    /// The quoted string at the start, quotes included; `nil`: it has no end.
    private static func quotedString(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard text.first == 0x22 else { return nil }
        var isEscaped = false
        for index in text.indices.dropFirst() {
            if isEscaped {
                isEscaped = false
            } else if text[index] == 0x5C {
                isEscaped = true
            } else if text[index] == 0x22 {
                return text[...index]
            }
        }
        return nil
    }

    private mutating func take(_ element: [UInt8]) {
        let word = element.prefix(while: Self.isToken)
        let behind = element[word.endIndex...].drop(while: Self.isBlank)
        if word.isEmpty {
            breakLast()
        } else if behind.first == 0x3D {
            addParameter(element)
        } else {
            challenges.append(SlowChallenge(scheme: ChallengeScheme(Array(word).span)))
            if behind.isEmpty { return }
            let hasBlank = behind.startIndex > word.endIndex
            if hasBlank, Self.isToken68(behind) {
                challenges[challenges.count - 1].token68 = Array(behind)
            } else if hasBlank {
                addParameter(Array(behind))
            } else {
                breakLast()
            }
        }
    }

    private mutating func addParameter(_ text: [UInt8]) {
        guard let last = challenges.indices.last else { return }
        let name = text.prefix(while: Self.isToken)
        let equals = text[name.endIndex...].drop(while: Self.isBlank)
        guard !name.isEmpty, equals.first == 0x3D else { return breakLast() }
        let value = equals.dropFirst().drop(while: Self.isBlank)
        var plain: [UInt8] = []
        if let string = Self.quotedString(value) {
            guard string.count == value.count, !value.contains(where: { $0 < 0x20 && $0 != 9 || $0 == 0x7F })
            else { return breakLast() }
            var isEscaped = false
            for byte in string.dropFirst().dropLast() {
                if byte == 0x5C, !isEscaped {
                    isEscaped = true
                } else {
                    isEscaped = false
                    plain.append(byte)
                }
            }
        } else {
            guard !value.isEmpty, value.allSatisfy(Self.isToken) else { return breakLast() }
            plain = Array(value)
        }
        let isTwice = challenges[last].names.contains { $0.lowercased == Array(name).lowercased }
        if isTwice || challenges[last].token68 != nil { return breakLast() }
        challenges[last].names.append(Array(name))
        challenges[last].values.append(plain)
    }

    private mutating func breakLast() {
        if let last = challenges.indices.last { challenges[last].isBroken = true }
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        0x30...0x39 ~= byte || 0x41...0x5A ~= byte || 0x61...0x7A ~= byte
    }

    private static func isToken(_ byte: UInt8) -> Bool {
        isAlphanumeric(byte) || Array("!#$%&'*+-.^_`|~".utf8).contains(byte)
    }

    private static func isToken68(_ text: ArraySlice<UInt8>) -> Bool {
        let word = text.prefix { isAlphanumeric($0) || Array("-._~+/".utf8).contains($0) }
        return !word.isEmpty && text[word.endIndex...].allSatisfy { $0 == 0x3D }
    }
}

extension [UInt8] {
    fileprivate var lowercased: [UInt8] { map { 0x41...0x5A ~= $0 ? $0 + 32 : $0 } }
}
