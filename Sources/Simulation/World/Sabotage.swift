// Sabotage.swift: ways to break a rule on purpose, between the engine and the rest of the world, one for each
// checker: a checker that stays silent then would also stay silent for a broken engine.
import Model

/// What is broken in a run.
package enum Sabotage: String, CaseIterable, Sendable {
    /// END arrives twice at the proxy.
    case repeatEnd
    /// END does not arrive.
    case loseEnd
    /// A stream that ended otherwise is said to be complete.
    case claimComplete
    /// One body byte is another.
    case flipByte
    /// One body byte of a request is another on its way to the upstream.
    case flipRequestByte
    /// Heads of replies go to the stream beside theirs.
    case swapStreams
    /// A request that must not be repeated goes out a second time.
    case sendTwice
    /// The next request goes to the connection whose reply broke off.
    case keepBrokenConnection
    /// The engine is told of more credit than the proxy gave.
    case inflateCredit
    /// The worker does not tell the engine that a session is over.
    case forgetSession
    /// A connection that was ordered closed stays open.
    case leakConnection
    /// An order is given twice.
    case repeatOrder
    /// END counts one byte too many.
    case miscount
    /// END names a cause that never was.
    case blameInternal
    /// The budget gives out one room more than the limits allow.
    case exceedLimits
    /// The budget gives room to those first who have waited least.
    case jumpQueue

    /// Over TLS an end without close_notify is said to be proven.
    case trustTruncation
    /// A stream whose handshake failed is said to have been reset.
    case mistakeTLSFault
    /// A stream whose tunnel was refused is said to be complete.
    case hideRefusal
    /// A request goes into a tunnel that was not granted.
    case hurryTunnel
    /// A connection is made for another name than the one that is asked for.
    case mixIdentity
    /// A field that only the peer may see reaches the origin.
    case leakPeerField

    /// A request goes to a connection that is another token's.
    case sharePin
    /// A request that was on a pinned connection goes out on another.
    case retryPinned
    /// A request is served before one that waits longer for the same pin.
    case overtakeInLine
    /// PIN MADE does not arrive.
    case losePinEvent
    /// No PIN LOST arrives.
    case loseLostEvents
    /// No PIN EXPIRED arrives.
    case loseExpiredEvents
    /// Workers do not hear of an UNPIN that came to another.
    case muffleUnpin
    /// A connection whose token was unpinned stays open.
    case keepUnpinned
    /// Somebody's request goes to a connection whose token was unpinned while it was busy.
    case poolUnpinned
    /// Pins wait without end for proxies that are gone.
    case endlessGrace
    /// Pins of proxies that have come back end with their grace.
    case deafGrace
    /// The engine is told that any number may wait behind a pin.
    case endlessLine
    /// A pinned connection is lost between two workers.
    case losePinParcel
    /// An idle connection is lost between two workers.
    case loseIdleParcel

    /// A member is given one connection more than its limit.
    case crowdMember
    /// Workers are not told that a member is ejected.
    case hideEjection
    /// Workers but the first are not told that a member is not to be dialed for a while.
    case hideBackOff
    /// What may not be repeated goes to a second member.
    case sendElsewhere
    /// END names another member.
    case misnameMember
    /// The ledgers do not hear of dials that fail.
    case overlookFailures
    /// Retries have no budget.
    case retryFreely
    /// Workers are told of ejections that hardly end.
    case forgetMember
    /// Members come back without a slow start.
    case rushBack
    /// Members are chosen by another policy.
    case changePolicy

    /// Whether it shows only where there are pins.
    package var isOfPins: Bool {
        switch self {
        case .sharePin, .retryPinned, .overtakeInLine, .losePinEvent, .loseLostEvents, .loseExpiredEvents,
            .muffleUnpin, .keepUnpinned, .poolUnpinned, .endlessGrace, .deafGrace, .endlessLine,
            .losePinParcel:
            true
        default: false
        }
    }

    /// Limits as the engine is told of them, in place of those that checkers believe in.
    func spoiled(_ limits: Limits) -> Limits {
        var limits = limits
        if self == .endlessLine { limits.pinQueueLengthMax = 1000 }
        return limits
    }

    /// The checker that has to see it.
    package var checker: String {
        switch self {
        case .repeatEnd: ExactEnd.name
        case .loseEnd: Liveness.name
        case .claimComplete, .trustTruncation, .hideRefusal: Wholeness.name
        case .flipByte: ReplyBytes.name
        case .flipRequestByte, .swapStreams, .leakPeerField: Isolation.name
        case .sendTwice: Replay.name
        case .keepBrokenConnection: Reuse.name
        case .inflateCredit: Bounds.name
        case .forgetSession, .leakConnection: Leaks.name
        case .repeatOrder: Orders.name
        case .miscount: Reports.name
        case .blameInternal, .mistakeTLSFault: Outcomes.name
        case .hurryTunnel: Ways.name
        case .mixIdentity: Identities.name
        case .sharePin: PinExclusive.name
        case .retryPinned: PinNotRetried.name
        case .overtakeInLine: PinOrder.name
        case .losePinEvent, .loseLostEvents, .loseExpiredEvents, .endlessGrace: PinEvents.name
        case .poolUnpinned: PinExclusive.name
        case .muffleUnpin, .keepUnpinned: PinRelease.name
        case .deafGrace: PinKept.name
        case .endlessLine: PinLine.name
        case .losePinParcel, .loseIdleParcel: Leaks.name
        case .exceedLimits: ConnectionLimits.name
        case .jumpQueue: Turns.name
        case .crowdMember: MemberLimits.name
        case .hideEjection, .hideBackOff: Choices.name
        case .sendElsewhere: MemberRetries.name
        case .misnameMember: MemberNames.name
        case .overlookFailures: Ejections.name
        case .retryFreely: RetryBudgets.name
        case .forgetMember: Recovery.name
        case .rushBack: Herds.name
        case .changePolicy: Policies.name
        }
    }
}
