// swift-tools-version:6.2
// One folder under Sources/ for each target. Who may import whom is fixed in the architecture article
// (Sources/Engine/Engine.docc/Architecture.md); the lists below are that table.
import PackageDescription

let collections: Target.Dependency = .product(name: "BasicContainers", package: "swift-collections")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let histogram: Target.Dependency = .product(name: "Histogram", package: "hdrhistogram-swift")

/// Set by Tests/sanitize. Only our own targets are built with the sanitizer: swift-collections makes the compiler crash then.
let isThreadSanitized = Context.environment["OUTRIGGER_SANITIZE"] == "thread"

/// Swift 6 mode brings complete concurrency checking; every warning, of unsafe code too, is an error.
let checked: [SwiftSetting] =
    [
        .strictMemorySafety(),
        .enableExperimentalFeature("Lifetimes"),
        .treatAllWarnings(as: .error),
    ] + (isThreadSanitized ? [.unsafeFlags(["-sanitize=thread"]), .define("SANITIZE_THREAD")] : [])
let checkedC: [CSetting] =
    [.treatAllWarnings(as: .error)] + (isThreadSanitized ? [.unsafeFlags(["-fsanitize=thread"])] : [])
let linked: [LinkerSetting] = isThreadSanitized ? [.unsafeFlags(["-sanitize=thread"])] : []

func swift(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: checked)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: checked, linkerSettings: linked)
}

let package = Package(
    name: "outrigger",
    products: [
        .executable(name: "outrigger", targets: ["outrigger"]),
        .library(name: "FuzzOracles", targets: ["FuzzOracles"]),
    ],
    traits: [
        .trait(name: "Kerberos", description: "Answer Negotiate and NTLM here, through GSSAPI (libkrb5-dev).")
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        .systemLibrary(
            name: "CProtobufC",
            pkgConfig: "libprotobuf-c",
            providers: [.apt(["libprotobuf-c-dev"])]
        ),
        .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .target(name: "COutriggerProto", dependencies: ["CProtobufC"], cSettings: checkedC),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .target(name: "CLinux", cSettings: checkedC),
        // No pkgConfig: Debian's has flags that SwiftPM refuses with a warning, and the headers are where all are.
        .systemLibrary(name: "CGSSAPI", providers: [.apt(["libkrb5-dev"])]),
        swift("Model", [collections]),
        swift("Configuration", ["Model", "CYAML"]),
        swift("Frames", ["Model", "COutriggerProto"]),
        swift("HTTP1", ["Model"]),
        swift("Balancing", ["Model"]),
        swift("Authentication", ["Model"]),
        // Without the trait it has no mechanism, and nothing of libkrb5 is needed.
        swift(
            "SecurityContexts",
            ["Model", "Authentication", .target(name: "CGSSAPI", condition: .when(traits: ["Kerberos"]))]
        ),
        swift("Engine", ["Model", "Frames", "HTTP1", "Authentication", "Balancing", collections]),
        swift("TLS", ["Model", "COpenSSL"]),
        swift("EventLoop", ["CLinux"]),
        swift(
            "Sidecar",
            [
                "Model", "Frames", "HTTP1", "Authentication", "Balancing", "Engine", "EventLoop", "TLS",
                "SecurityContexts",
            ]
        ),
        swift("OutriggerClient", ["Model", "Frames", "EventLoop"]),
        swift("Simulation", ["Model", "Frames", "HTTP1", "Authentication", "Balancing", "Engine"]),
        .executableTarget(
            name: "outrigger",
            dependencies: [
                "Configuration", "Sidecar", "OutriggerClient", "Simulation", arguments, histogram,
            ],
            swiftSettings: checked,
            linkerSettings: linked
        ),
        // What the fuzzers check; here because package access ends at a package's borders. Not in the executable.
        .target(
            name: "FuzzOracles",
            dependencies: ["Model", "Frames", "HTTP1", "Authentication"],
            path: "Tests/fuzz/Oracles",
            swiftSettings: checked
        ),
        tests("ModelTests", ["Model"]),
        tests("ConfigurationTests", ["Configuration", "Model"]),
        tests("FramesTests", ["Frames", "Model"]),
        tests("HTTP1Tests", ["HTTP1", "Model"]),
        tests("BalancingTests", ["Balancing", "Model"]),
        tests("AuthenticationTests", ["Authentication", "TLS", "Model", "FuzzOracles"]),
        tests("EngineTests", ["Engine", "Authentication", "Balancing", "Frames", "HTTP1", "Model"]),
        tests("SecurityContextsTests", ["SecurityContexts", "Authentication", "Model"]),
        tests("TLSTests", ["TLS", "Model", "COpenSSL"]),
        tests("EventLoopTests", ["EventLoop"]),
        tests("SimulationTests", ["Simulation", "Engine", "Model"]),
        tests("OutriggerClientTests", ["OutriggerClient", "Model", "Frames"]),
    ],
    swiftLanguageModes: [.v6]
)
