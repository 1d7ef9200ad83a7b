// Curve.swift: logarithm and exponential function, as neither the standard library has them nor pure code may
// call the C one.
// Owns: their precision. The same bits on every machine: additions, multiplications and divisions are exact
// by IEEE 754.

enum Curve {
    private static let ln2 = 0.693_147_180_559_945_3

    /// The natural logarithm of a normal number over 0, to 15 digits.
    static func logarithm(_ value: Double) -> Double {
        var exponent = Int(value.exponent)
        var mantissa = value.significand
        // Near 1, where the series is short.
        if mantissa > 1.414_213_562_373_095 {
            mantissa /= 2
            exponent += 1
        }
        // ln m = 2 artanh z with z = (m - 1) / (m + 1), at most 0.172: z^21 is beyond the last bit.
        let ratio = (mantissa - 1) / (mantissa + 1)
        let square = ratio * ratio
        var sum = 1.0 / 21
        sum = sum * square + 1.0 / 19
        sum = sum * square + 1.0 / 17
        sum = sum * square + 1.0 / 15
        sum = sum * square + 1.0 / 13
        sum = sum * square + 1.0 / 11
        sum = sum * square + 1.0 / 9
        sum = sum * square + 1.0 / 7
        sum = sum * square + 1.0 / 5
        sum = sum * square + 1.0 / 3
        sum = sum * square + 1
        return Double(exponent) * ln2 + 2 * ratio * sum
    }

    /// e to the power of -`value`, for a `value` of 0 or more, to 14 digits; 0 from 700 on.
    static func decay(_ value: Double) -> Double {
        guard value < 700 else { return 0 }
        // e^-v = 2^-k e^r with r at most half of ln 2 either way: r^14 / 14! is beyond the last bit.
        let halvings = (value / ln2).rounded()
        let rest = halvings * ln2 - value
        var sum = 1.0 / 6_227_020_800
        sum = sum * rest + 1.0 / 479_001_600
        sum = sum * rest + 1.0 / 39_916_800
        sum = sum * rest + 1.0 / 3_628_800
        sum = sum * rest + 1.0 / 362_880
        sum = sum * rest + 1.0 / 40_320
        sum = sum * rest + 1.0 / 5_040
        sum = sum * rest + 1.0 / 720
        sum = sum * rest + 1.0 / 120
        sum = sum * rest + 1.0 / 24
        sum = sum * rest + 1.0 / 6
        sum = sum * rest + 1.0 / 2
        sum = (sum * rest + 1) * rest + 1
        return Double(sign: .plus, exponent: -Int(halvings), significand: sum)
    }
}
