// TLSClient.swift: one worker's side of every TLS connection it makes: contexts, sessions, new layers.
// Owns: contexts by settings, sessions by identity. Never touches: a socket, a lock; it belongs to one
// thread. Source: DESIGN "Identity is part of the key"; RFC 8446 §2.2, appendix C.4.
import COpenSSL
import Model

package struct TLSClient: ~Copyable {
    /// What this worker keeps. Reached: what was not used for longest is dropped, and made anew when it is
    /// needed.
    package struct Limits: Sendable {
        /// Contexts, one for each `TLSSettings`.
        package var contextsMax = 64
        /// Keys (identity and scope) of which sessions are kept.
        package var sessionKeysMax = 1024
        /// Sessions of one key; the oldest is dropped. Each of 1.3 is good for one connection, so that this is how many
        /// can be made at the same time without a full handshake.
        package var sessionsPerKeyMax = 64
        /// Sessions of all keys; the oldest of the key that was not used for longest is dropped. One takes about 2 KiB.
        package var sessionsMax = 4096
        /// Time for which a context is used before its files are looked at again, milliseconds.
        package var fileCheckMilliseconds = 1000
        /// Records under one key; then it is renewed. Below the 2^24.5 of AES-GCM. Source: RFC 8446 §5.5.
        package var recordsPerKeyMax = 8_388_608

        package init() {}
    }

    /// A context, or why there is none.
    private struct Entry {
        let settings: TLSSettings
        var context: Result<Context, TLSFailure>
        var files: ContextFiles
        var checkAt: Instant
        /// Counts uses of all entries.
        var lastUse: UInt64
    }

    private let limits: Limits
    private var entries: [Entry] = []
    private let sessions: SessionCache
    private var contextsMade = 0
    private var uses: UInt64 = 0

    package init(limits: Limits = Limits()) {
        precondition(limits.contextsMax > 0, "a TLS client without room for a context")
        self.limits = limits
        sessions = SessionCache(
            keysMax: limits.sessionKeysMax,
            perKeyMax: limits.sessionsPerKeyMax,
            countMax: limits.sessionsMax
        )
    }

    /// Contexts held.
    package var contextCount: Int { entries.count }
    /// Sessions held.
    package var sessionCount: Int { sessions.count }

    /// Makes a layer that is about to greet its peer; `TLSLayer.handshake` begins.
    /// - Parameters:
    ///   - identity: how the peer is spoken to, and who it has to be.
    ///   - scope: what else decides whether a session may be resumed, e.g. endpoint and tunnel.
    ///   - now: monotonic.
    /// - Returns: a layer for one connection.
    /// - Throws: `handshake`: settings, names or files are wrong; `verify`: there is no name to verify.
    package mutating func connect(
        _ identity: TLSIdentity,
        scope: [UInt8],
        now: Instant
    ) throws(TLSFailure) -> TLSLayer {
        let context = try context(for: identity.settings, now: now)
        let key = SessionKey(identity: identity, scope: scope)
        let session = sessions.take(key, context: context.number, at: openssl_now())
        let recordsMax = limits.recordsPerKeyMax
        return try TLSLayer(context, key, sessions, resuming: session, recordsPerKeyMax: recordsMax)
    }

    private mutating func context(for settings: TLSSettings, now: Instant) throws(TLSFailure) -> Context {
        uses += 1
        let place = entries.firstIndex { $0.settings == settings } ?? addEntry(settings, now: now)
        entries[place].lastUse = uses
        if now >= entries[place].checkAt { recheck(place, now: now) }
        return try entries[place].context.get()
    }

    /// Makes the context anew when its files have changed. Old files are never used in place of new ones that
    /// are broken: whoever replaced them meant to end the use of the old.
    private mutating func recheck(_ place: Int, now: Instant) {
        entries[place].checkAt = now.adding(milliseconds: limits.fileCheckMilliseconds)
        if case .success(let context) = entries[place].context {
            if !entries[place].files.haveChanged { return }
            sessions.removeAll(context: context.number)
        }
        let settings = entries[place].settings
        entries[place].files = ContextFiles(settings)
        entries[place].context = make(settings)
    }

    private mutating func addEntry(_ settings: TLSSettings, now: Instant) -> Int {
        if entries.count == limits.contextsMax { removeOldest() }
        // The files' stamps are taken before they are read.
        let files = ContextFiles(settings)
        let checkAt = now.adding(milliseconds: limits.fileCheckMilliseconds)
        entries.append(
            Entry(settings: settings, context: make(settings), files: files, checkAt: checkAt, lastUse: uses)
        )
        return entries.count - 1
    }

    private mutating func removeOldest() {
        var oldest = 0
        for place in entries.indices where entries[place].lastUse < entries[oldest].lastUse { oldest = place }
        if case .success(let context) = entries[oldest].context {
            sessions.removeAll(context: context.number)
        }
        entries.remove(at: oldest)
    }

    private mutating func make(_ settings: TLSSettings) -> Result<Context, TLSFailure> {
        contextsMade += 1
        let number = contextsMade
        return Result { () throws(TLSFailure) in try Context(settings, number: number) }
    }
}
