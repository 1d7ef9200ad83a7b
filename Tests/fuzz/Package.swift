// swift-tools-version:6.2
// Fuzzers of what reads hostile bytes. A package of its own, so that its flags never reach the product.
// Built and run by Tests/fuzz/run. What is checked is in Oracles, a target of the package two folders up:
// package access ends at its borders.
import PackageDescription

let oracles: Target.Dependency = .product(name: "FuzzOracles", package: "outrigger")
let settings: [SwiftSetting] = [.strictMemorySafety(), .treatAllWarnings(as: .error)]

let package = Package(
    name: "fuzz",
    dependencies: [.package(name: "outrigger", path: "../..")],
    targets: [
        .target(name: "CFuzzer"),
        .executableTarget(
            name: "FuzzChallenges",
            dependencies: ["CFuzzer", oracles],
            swiftSettings: settings
        ),
        .executableTarget(name: "FuzzFrames", dependencies: ["CFuzzer", oracles], swiftSettings: settings),
        .executableTarget(name: "FuzzReplies", dependencies: ["CFuzzer", oracles], swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
