// YAMLEvents.swift: the events of libyaml as values.
// Owns: every call of libyaml, and so every unsafe expression of this target. Never touches: what the events
// mean.
// Source: yaml.h of libyaml 0.2; YAML 1.1.
import CYAML

/// A step of the parser.
struct YAMLEvent {
    enum Kind {
        case text(String, isPlain: Bool)
        case listStart
        case listEnd
        case mappingStart
        case mappingEnd
        case alias
        case documentStart
        /// The end of a document, and both ends of the stream.
        case other
    }

    var kind: Kind
    var mark: Mark
    var hasAnchor = false
    var hasTag = false
}

/// Why the parser cannot go on.
struct YAMLError: Error {
    enum Position {
        case mark(Mark)
        /// In bytes from the beginning.
        case offset(Int)
    }

    var position: Position
    /// In libyaml's words, which are fixed: nothing of the file is in them.
    var text: String
}

enum YAMLParser {
    /// Has `take` look at one event after the other until it returns false, or the file ends. `bytes` are
    /// UTF-8. Throws at the first place where they are no YAML.
    static func run(_ bytes: Span<UInt8>, _ take: (YAMLEvent) -> Bool) throws(YAMLError) {
        // SAFETY: the buffer is valid inside the closure, and the parser that points to it does not leave it.
        let failure = unsafe bytes.withUnsafeBufferPointer { buffer in unsafe run(over: buffer, take) }
        if let failure { throw failure }
    }

    private static func run(
        over buffer: UnsafeBufferPointer<UInt8>,
        _ take: (YAMLEvent) -> Bool
    ) -> YAMLError? {
        // SAFETY: a parser points to itself, so it stays where it is allocated; initialising fills all of it,
        // and it is deleted once, after its last use. `buffer` outlives it.
        let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
        defer { unsafe parser.deallocate() }
        guard unsafe yaml_parser_initialize(parser) == 1 else {
            return YAMLError(position: .offset(0), text: "no memory")
        }
        defer { unsafe yaml_parser_delete(parser) }
        // Else a byte order mark would make it UTF-16.
        unsafe yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        unsafe yaml_parser_set_input_string(parser, buffer.baseAddress, buffer.count)
        while true {
            var raw = unsafe yaml_event_t()
            guard unsafe yaml_parser_parse(parser, &raw) == 1 else { return unsafe failure(parser) }
            // SAFETY: the event was filled by the call above; what is wanted of it is copied before it is
            // deleted.
            defer { unsafe yaml_event_delete(&raw) }
            let isLast = unsafe raw.type == YAML_STREAM_END_EVENT
            guard unsafe take(event(raw)), !isLast else { return nil }
        }
    }

    private static func event(_ raw: yaml_event_t) -> YAMLEvent {
        // SAFETY: `type` says which member of the union is filled; its pointers are valid until the event is
        // deleted, and the value of a scalar has `length` bytes.
        var event = unsafe YAMLEvent(kind: .other, mark: mark(raw.start_mark))
        switch unsafe raw.type {
        case YAML_SCALAR_EVENT:
            let scalar = unsafe raw.data.scalar
            let bytes = unsafe UnsafeBufferPointer(start: scalar.value, count: scalar.length)
            let isPlain = unsafe scalar.style == YAML_PLAIN_SCALAR_STYLE
            event.kind = unsafe .text(String(decoding: bytes, as: UTF8.self), isPlain: isPlain)
            event.hasAnchor = unsafe scalar.anchor != nil
            event.hasTag = unsafe scalar.tag != nil
        case YAML_SEQUENCE_START_EVENT:
            event.kind = .listStart
            event.hasAnchor = unsafe raw.data.sequence_start.anchor != nil
            event.hasTag = unsafe raw.data.sequence_start.tag != nil
        case YAML_MAPPING_START_EVENT:
            event.kind = .mappingStart
            event.hasAnchor = unsafe raw.data.mapping_start.anchor != nil
            event.hasTag = unsafe raw.data.mapping_start.tag != nil
        case YAML_SEQUENCE_END_EVENT: event.kind = .listEnd
        case YAML_MAPPING_END_EVENT: event.kind = .mappingEnd
        case YAML_ALIAS_EVENT: event.kind = .alias
        case YAML_DOCUMENT_START_EVENT: event.kind = .documentStart
        default: break
        }
        return event
    }

    private static func failure(_ parser: UnsafePointer<yaml_parser_t>) -> YAMLError {
        // SAFETY: the parser is initialised and outlives the call; its messages are literals of libyaml.
        let text = unsafe parser.pointee.problem.map { unsafe String(cString: $0) } ?? "no memory"
        let context = unsafe parser.pointee.context.map { unsafe String(cString: $0) }
        switch unsafe parser.pointee.error {
        case YAML_READER_ERROR:
            return unsafe YAMLError(position: .offset(Int(parser.pointee.problem_offset)), text: text)
        default:
            let words = context.map { "\(text) (\($0))" } ?? text
            return unsafe YAMLError(position: .mark(mark(parser.pointee.problem_mark)), text: words)
        }
    }

    private static func mark(_ mark: yaml_mark_t) -> Mark {
        Mark(line: Int(mark.line) + 1, column: Int(mark.column) + 1)
    }
}
