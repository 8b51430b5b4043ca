// SPDX-License-Identifier: Apache-2.0

// Built together with the sources of RESP, by `run`. Each input is one stream; the places at which it
// is split follow from its bytes.

/// Called by libFuzzer. Ends the process if a property does not hold.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOne(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let stream = [UInt8](UnsafeBufferPointer(start: data, count: count))
  let limits = ScanLimits(
    bulkBytesMax: 4096, elementsMax: 512, frameBytesMax: 8192, lineBytesMax: 1024)
  let cuts = splitPlaces(of: stream)

  let requests = RequestScanner(limits: limits)
  let wholeRequests = scanRequests(stream, cuts: [], compacts: false, requests)
  precondition(scanRequests(stream, cuts: cuts, compacts: false, requests) == wholeRequests)
  precondition(scanRequests(stream, cuts: cuts, compacts: true, requests) == wholeRequests)

  let replies = ReplyScanner(limits: limits)
  let wholeReplies = scanReplies(stream, cuts: [], compacts: false, replies)
  precondition(scanReplies(stream, cuts: cuts, compacts: false, replies) == wholeReplies)
  precondition(scanReplies(stream, cuts: cuts, compacts: true, replies) == wholeReplies)
  let parsed = parseReplies(stream, limits)
  precondition(parsed.error == .depth || parsed == wholeReplies)
  return 0
}

struct Outcome: Equatable {
  /// What was found, as numbers.
  var found: [Int] = []
  var error: ProtocolError?
}

/// Few cuts in some inputs, many in others.
func splitPlaces(of stream: [UInt8]) -> [Int] {
  var mixed = stream.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
  let density = 1 + mixed % 16
  return stream.indices.filter { _ in
    mixed = mixed &* 1_664_525 &+ 1_013_904_223
    return (mixed >> 16) % density == 0
  }
}

/// Feed the pieces of a stream to `next`, which returns a frame's size and whatever else is compared.
func feed(
  _ stream: [UInt8], cuts: [Int], compacts: Bool,
  next: (UnsafeRawBufferPointer, Int) throws(ProtocolError) -> (byteCount: Int, rest: [Int])?
) -> Outcome {
  var outcome = Outcome()
  var buffer: [UInt8] = []
  var start = 0
  var taken = 0
  for cut in cuts + [stream.count] {
    if compacts {
      buffer.removeFirst(start)
      start = 0
    }
    buffer += stream[taken..<cut]
    taken = cut
    // An exact copy on the heap: a read beyond it is one that tools can see.
    let exact = UnsafeMutableRawBufferPointer.allocate(byteCount: buffer.count, alignment: 1)
    defer { exact.deallocate() }
    exact.copyBytes(from: buffer)
    do throws(ProtocolError) {
      while let (byteCount, rest) = try next(UnsafeRawBufferPointer(exact), start) {
        precondition(byteCount > 0 && start + byteCount <= buffer.count)
        outcome.found.append(byteCount)
        outcome.found += rest
        start += byteCount
      }
    } catch {
      outcome.error = error
      return outcome
    }
  }
  return outcome
}

func scanRequests(
  _ stream: [UInt8], cuts: [Int], compacts: Bool, _ scanner: RequestScanner
) -> Outcome {
  var scanner = scanner
  return feed(stream, cuts: cuts, compacts: compacts) { bytes, start throws(ProtocolError) in
    guard let request = try scanner.next(in: bytes, from: start) else { return nil }
    precondition(request.isEmpty == scanner.arguments.isEmpty)
    if request.isInline, !request.isEmpty { checkRewritten(scanner) }
    let end = request.isInline ? scanner.rewritten.count : request.byteCount
    for argument in scanner.arguments { precondition(argument.end + 2 <= end) }
    let places = scanner.arguments.flatMap { [$0.start, $0.count] }
    return (request.byteCount, [request.isInline ? 1 : 0] + places)
  }
}

/// An inline request's array form is a request of the same arguments.
func checkRewritten(_ inline: RequestScanner) {
  var scanner = RequestScanner(limits: ScanLimits())
  let request = try? inline.rewritten.withUnsafeBytes { bytes throws(ProtocolError) in
    try scanner.next(in: bytes, from: 0)
  }
  precondition(request?.byteCount == inline.rewritten.count)
  precondition(scanner.arguments == inline.arguments)
}

func scanReplies(
  _ stream: [UInt8], cuts: [Int], compacts: Bool, _ scanner: ReplyScanner
) -> Outcome {
  var scanner = scanner
  return feed(stream, cuts: cuts, compacts: compacts) { bytes, start throws(ProtocolError) in
    guard let frame = try scanner.next(in: bytes, from: start) else { return nil }
    precondition(bytes[start + frame.replyOffset] == frame.type)
    return (frame.byteCount, [])
  }
}

func parseReplies(_ stream: [UInt8], _ limits: ScanLimits) -> Outcome {
  feed(stream, cuts: [], compacts: false) { bytes, start throws(ProtocolError) in
    guard let (_, byteCount) = try RESPValue.parse(bytes, from: start, limits: limits)
    else { return nil }
    return (byteCount, [])
  }
}
