// swift-tools-version: 6.1
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

let strict: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

let nio: [Target.Dependency] = [
  .product(name: "NIOCore", package: "swift-nio"),
  .product(name: "NIOPosix", package: "swift-nio"),
  .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
]

let nioTLS: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")

let package = Package(
  name: "holdfast",
  products: [
    .executable(name: "holdfastd", targets: ["holdfastd"]),
    .executable(name: "holdfast", targets: ["holdfast"]),
    .executable(name: "holdfast-lab", targets: ["holdfast-lab"]),
    .library(name: "Failover", targets: ["Failover"]),
    .library(name: "HoldfastClient", targets: ["HoldfastClient"]),
    .library(name: "HoldfastClientCodable", targets: ["HoldfastClientCodable"]),
    .library(name: "RESP", targets: ["RESP"]),
    .library(name: "Proxy", targets: ["Proxy"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
  ],
  targets: [
    // Pure: bytes, decisions, the data path's state machines.
    .target(name: "RESP", swiftSettings: strict),
    .target(name: "Failover", swiftSettings: strict),
    .target(name: "Doctor", swiftSettings: strict),
    .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
    .target(
      name: "Sessions",
      dependencies: ["CZlib", "RESP", .product(name: "Crypto", package: "swift-crypto")],
      swiftSettings: strict),
    .target(
      name: "Proxy",
      dependencies: [
        "Failover", "RESP", "Sessions", .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "Histogram", package: "hdrhistogram-swift"),
      ],
      swiftSettings: strict),

    // Input and output.
    .target(
      name: "SentinelMonitor",
      dependencies: ["Failover", "RESP", nioTLS] + nio,
      swiftSettings: strict),
    .systemLibrary(name: "CLinux"),
    .target(
      name: "Gateway",
      dependencies: [
        "CLinux", "Failover", "Proxy", "RESP", "Sessions", nioTLS,
        .product(name: "NIOTLS", package: "swift-nio"),
      ] + nio,
      swiftSettings: strict),
    .target(
      name: "Settings",
      dependencies: [.product(name: "Yams", package: "Yams")],
      swiftSettings: strict),
    .systemLibrary(
      name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
    .target(name: "Systemd", dependencies: ["CSystemd"], swiftSettings: strict),
    .executableTarget(
      name: "holdfastd",
      dependencies: [
        "Doctor", "Failover", "Gateway", "Proxy", "RESP", "SentinelMonitor", "Sessions", "Settings",
        "Systemd",
        nioTLS,
        .product(name: "Histogram", package: "hdrhistogram-swift"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
        .product(name: "Logging", package: "swift-log"),
      ] + nio,
      swiftSettings: strict),

    .executableTarget(
      name: "holdfast",
      dependencies: [
        "RESP", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),

    // For apps in Swift.
    .target(name: "HoldfastClient", dependencies: ["RESP"] + nio, swiftSettings: strict),
    .target(
      name: "HoldfastClientCodable", dependencies: ["HoldfastClient"], swiftSettings: strict),

    // Real Redis and Sentinel processes, for the demo, the tests and the benchmarks.
    .target(
      name: "RedisLab",
      dependencies: ["RESP"],
      swiftSettings: strict),
    .executableTarget(
      name: "holdfast-lab",
      dependencies: [
        "RESP", "RedisLab", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),

    .testTarget(name: "RESPTests", dependencies: ["RESP"], swiftSettings: strict),
    .testTarget(name: "FailoverTests", dependencies: ["Failover"], swiftSettings: strict),
    .testTarget(
      name: "SessionsTests", dependencies: ["RESP", "RedisLab", "Sessions"], swiftSettings: strict),
    .testTarget(
      name: "ProxyTests", dependencies: ["Failover", "Proxy", "RESP", "Sessions"],
      exclude: ["Fixtures"],
      swiftSettings: strict),
    .testTarget(name: "SettingsTests", dependencies: ["Settings"], swiftSettings: strict),
    .testTarget(name: "SystemdTests", dependencies: ["Systemd"], swiftSettings: strict),
    .testTarget(
      name: "GatewayTests",
      dependencies: ["Gateway", "Sessions", .product(name: "NIOCore", package: "swift-nio")],
      swiftSettings: strict),
    .testTarget(
      name: "HoldfastClientTests",
      dependencies: ["HoldfastClient", "HoldfastClientCodable", "RESP", "RedisLab"],
      swiftSettings: strict),
    .testTarget(name: "DoctorTests", dependencies: ["Doctor"], swiftSettings: strict),
    .testTarget(name: "OperatorTests", dependencies: ["holdfast", "RESP"], swiftSettings: strict),
    .testTarget(name: "FaultTests", dependencies: ["RedisLab", "RESP"], swiftSettings: strict),
  ],
  swiftLanguageModes: [.v6]
)
