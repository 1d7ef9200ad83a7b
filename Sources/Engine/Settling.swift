// Settling.swift: what is left to do at the end of each call of the engine, until nothing is.
// Owns: its order. Never touches: what any of it is.

extension WorkerEngine {
    /// At the end of each call: whoever was blocked and can go on does, first come first served.
    mutating func settle() {
        while true {
            if let waiter = waitersWithoutDial.popLast() {
                if waiters.isTaken(waiter) && waiters[waiter].dial == .none { admitAgain(waiter) }
            } else if let line = linesToAdvance.popLast() {
                advance(line)
            } else if let line = groupLines.toAdvance.popLast() {
                advanceGroupLine(line)
            } else if let share = sharesToAdvance.popLast() {
                advanceShare(share)
            } else if let endpoint = wishesToRenew.popLast() {
                renewWish(endpoint)
            } else if !pinOrphans.isEmpty {
                dispatchOrphans()
            } else if groups.wakeAt <= now {
                wakeGroups()
            } else if !sessionsTooSlow.isEmpty {
                closeSlowSessions()
            } else {
                return
            }
        }
    }
}
