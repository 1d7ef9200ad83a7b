// NearestName.swift: the known name that was probably meant. Owns: the measure. Source: Damerau (1964),
// restricted edit distance.

enum NearestName {
    /// Longer names than this are not compared.
    private static let bytesMax = 64

    /// Of `known` the one nearest to `name`, the first of equals; `nil`: none is near.
    static func of(_ name: String, among known: [String]) -> String? {
        let wanted = Array(name.lowercased().utf8)
        guard 2...bytesMax ~= wanted.count else { return nil }
        // A third of the letters may be wrong: more, and it is more likely another word.
        let limit = max(1, wanted.count / 3)
        var best: (distance: Int, name: String)?
        for candidate in known {
            let distance = distance(wanted, Array(candidate.lowercased().utf8))
            if distance <= limit, distance < best?.distance ?? .max { best = (distance, candidate) }
        }
        return best?.name
    }

    /// Letters to insert, leave out, replace, or exchange with their neighbour.
    static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var before: [Int] = []
        var last = Array(0...right.count)
        for row in left.indices {
            var next = [row + 1]
            for column in right.indices {
                let replaced = last[column] + (left[row] == right[column] ? 0 : 1)
                var best = min(replaced, last[column + 1] + 1, next[column] + 1)
                if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                    best = min(best, before[column - 1] + 1)
                }
                next.append(best)
            }
            before = last
            last = next
        }
        return last[right.count]
    }
}
