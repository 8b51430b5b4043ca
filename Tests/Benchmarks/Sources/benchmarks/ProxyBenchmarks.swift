// SPDX-License-Identifier: Apache-2.0

/// Commands through a shard, without I/O.
enum ProxyBenchmarks {
  static func all() throws -> [Benchmark] {
    var benchmarks: [Benchmark] = []
    for load in Load.all {
      benchmarks.append(
        try make("GET", load, request: Sample.get, reply: Sample.bulk(bodyBytes: 300)))
      benchmarks.append(
        try make("SETEX", load, request: Sample.setEx(bodyBytes: 300), reply: Sample.ok))
      benchmarks.append(
        try make(
          "SESSION.GET", load, request: Sample.sessionGet, reply: Sample.session(bodyBytes: 300)))
    }
    return benchmarks
  }

  /// How many clients, and how many commands each of them sends at once.
  private struct Load {
    let name: String
    let clients: Int
    let pipeline: Int

    static let all = [
      Load(name: "1 client", clients: 1, pipeline: 1),
      Load(name: "50 clients", clients: 50, pipeline: 1),
      Load(name: "1 client, pipeline 16", clients: 1, pipeline: 16),
      Load(name: "50 clients, pipeline 16", clients: 50, pipeline: 16),
    ]
  }

  private static func make(
    _ command: String, _ load: Load, request: [UInt8], reply: [UInt8]
  ) throws -> Benchmark {
    let rig = try ProxyRig(
      clients: load.clients, pipeline: load.pipeline, request: request, reply: reply)
    let count = load.clients * load.pipeline
    return Benchmark(
      name: "\(command) 300 B, \(load.name)",
      batch: Work(count: count, byteCount: count * (request.count + reply.count))
    ) { try rig.turn() }
  }
}
