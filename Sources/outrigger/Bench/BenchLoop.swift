// BenchLoop.swift: the load generator's loop: all sessions on one thread. Owns: phases and their times.
import EventLoop
import Model
import OutriggerClient

/// A box: arrays do not hold what cannot be copied.
private final class BenchSlot {
    var session: BenchSession
    init(_ session: consuming BenchSession) { self.session = session }
}

/// Runs a plan once.
struct BenchLoop: ~Copyable {
    private let plan: BenchPlan
    private let meter: BenchMeter
    private var progress: BenchProgress
    private var poller: Poller
    private var slots: [BenchSlot]
    private var totals = BenchTotals()
    private var phase = BenchPhase.warmup
    private var phaseEnd: Int64 = 0
    private var measureStart: Int64 = 0
    private var before = BenchProcess()
    /// Requests that may still be opened.
    private var budget = UInt64.max

    /// Time that requests have to end once no new ones are sent.
    private static let drainNanoseconds: Int64 = 10_000_000_000
    /// Time between two looks at the clock when nothing happens.
    private static let tickNanoseconds: Int64 = 100_000_000

    private init(
        _ plan: BenchPlan,
        _ meter: BenchMeter,
        _ poller: consuming Poller,
        _ slots: [BenchSlot]
    ) {
        self.plan = plan
        self.meter = meter
        self.poller = poller
        self.slots = slots
        progress = BenchProgress(plan)
    }

    /// Connects every session.
    static func start(_ plan: BenchPlan, _ source: SidecarSource) throws(CommandFailure) -> BenchLoop {
        var hello = Hello()
        hello.software = "outrigger bench"
        hello.initialCreditBytes = plan.initialCredit
        let sockets = try (0..<plan.sessions).map { _ throws(CommandFailure) in try source.connect() }
        do throws(SocketError) {
            let poller = try Poller()
            var slots: [BenchSlot] = []
            for (index, socket) in sockets.enumerated() {
                let connection = try ClientConnection.start(
                    on: socket,
                    hello: hello,
                    poller: poller,
                    token: UInt64(index)
                )
                slots.append(BenchSlot(BenchSession(plan, index: index, connection: connection)))
            }
            let meter = BenchMeter(source, pid: plan.pid, socket: sockets[0])
            return BenchLoop(plan, meter, poller, slots)
        } catch { throw CommandFailure(ExitStatus.osError, "cannot set up: \(error)") }
    }

    /// Warms up, measures, and lets what is under way end.
    mutating func run() throws(CommandFailure) -> BenchTotals {
        phaseEnd = Clock.now + plan.warmupNanoseconds
        if plan.warmupNanoseconds == 0 { measure(Clock.now) }
        while !isOver {
            for slot in slots {
                if phase != .draining { budget -= slot.session.fill(countMax: budget) }
                try slot.session.flush(poller)
            }
            for index in 0..<poller.wait(timeoutNanoseconds: Self.tickNanoseconds) {
                let event = poller[index]
                try slots[Int(event.token)].session.receive(isEnding: event.isEnding, &totals)
            }
            advance(Clock.now)
        }
        progress.clear()
        return totals
    }

    private var isOver: Bool {
        phase == .draining && slots.allSatisfy { $0.session.openCount == 0 }
    }

    private mutating func measure(_ now: Int64) {
        phase = .measuring
        totals = BenchTotals()
        before = meter.reading
        measureStart = now
        phaseEnd = plan.requests == nil ? now + plan.durationNanoseconds : .max
        budget = plan.requests ?? .max
    }

    private mutating func advance(_ now: Int64) {
        switch phase {
        case .warmup:
            if now >= phaseEnd { measure(now) }
        case .measuring:
            let isEnough = plan.requests.map { totals.ended >= $0 } ?? (now >= phaseEnd)
            if isEnough { finish(now) }
        case .draining:
            // What has not ended by now counts as failed.
            if now >= phaseEnd { abandon() }
        }
        progress.show(phase, totals, now: now, since: measureStart)
    }

    private mutating func finish(_ now: Int64) {
        totals.process = meter.reading.since(before)
        totals.elapsedNanoseconds = now - measureStart
        totals.measured = totals.succeeded
        totals.measuredReplyBytes = totals.replyBytes
        totals.measuredRequestBytes = totals.requestBytes
        phase = .draining
        phaseEnd = now + Self.drainNanoseconds
    }

    private mutating func abandon() {
        for slot in slots { totals.unfinished += UInt64(slot.session.openCount) }
        slots = []
    }
}
