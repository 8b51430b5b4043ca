// SPDX-License-Identifier: Apache-2.0
@testable import RESP

/// How a reader's buffer changes between two reads.
enum Buffering: CaseIterable {
  /// Bytes are added behind those already there; requests begin further and further in.
  case grow
  /// Consumed bytes are dropped, so that the incomplete request moves to the front.
  case compact
  /// As `compact`, and what the scanner has read is destroyed: it must not read it again.
  case destroy
}

/// One scanned request or reply, and its error if it is one.
struct Extent: Equatable {
  var byteCount = 0
  var offset = 0
  var type: UInt8 = 0
  var isInline = false
  var arguments: [ArgumentRange] = []
}

struct Outcome: Equatable {
  var extents: [Extent] = []
  var error: ProtocolError?
}

/// The common shape of both scanners.
protocol Scanning {
  mutating func extent(in bytes: UnsafeRawBufferPointer, from start: Int) throws -> Extent?
  var scannedByteCount: Int { get }
}

extension RequestScanner: Scanning {
  mutating func extent(in bytes: UnsafeRawBufferPointer, from start: Int) throws -> Extent? {
    guard let request = try next(in: bytes, from: start) else { return nil }
    return Extent(
      byteCount: request.byteCount, isInline: request.isInline,
      arguments: arguments)
  }
}

extension ReplyScanner: Scanning {
  mutating func extent(in bytes: UnsafeRawBufferPointer, from start: Int) throws -> Extent? {
    guard let frame = try next(in: bytes, from: start) else { return nil }
    return Extent(byteCount: frame.byteCount, offset: frame.replyOffset, type: frame.type)
  }
}

/// Scan a stream that arrives in pieces which end at `cuts`, in ascending order.
func feed(
  _ stream: [UInt8], cuts: [Int], buffering: Buffering, scanner: some Scanning
) -> Outcome {
  var scanner = scanner
  var outcome = Outcome()
  var buffer: [UInt8] = []
  var start = 0
  var taken = 0
  for cut in cuts + [stream.count] {
    if buffering != .grow {
      buffer.removeFirst(start)
      start = 0
    }
    if buffering == .destroy {
      for place in 0..<min(scanner.scannedByteCount, buffer.count) { buffer[place] = 0x0A }
    }
    buffer += stream[taken..<cut]
    taken = cut
    do {
      while let extent = try buffer.withUnsafeBytes({ try scanner.extent(in: $0, from: start) }) {
        outcome.extents.append(extent)
        start += extent.byteCount
      }
    } catch {
      outcome.error = error as? ProtocolError
      return outcome
    }
  }
  return outcome
}

/// A small generator of random numbers that a seed repeats (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

/// The first reply as a value.
func parse(_ stream: [UInt8], limits: ScanLimits = ScanLimits()) throws -> (RESPValue, Int)? {
  try stream.withUnsafeBytes { try RESPValue.parse($0, from: 0, limits: limits) }
}

func parse(_ text: String) throws -> RESPValue? { try parse(bytes(text))?.0 }
