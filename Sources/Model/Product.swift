// Product.swift: what this software calls itself, in HELLO, in logs and to whoever asks.

/// Name and version.
package enum Product {
    package static let version = "0.1.0"
    /// As HELLO and a User-Agent field have it.
    package static let software = "outrigger/" + version
}
