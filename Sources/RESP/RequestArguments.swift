// SPDX-License-Identifier: Apache-2.0

/// A view of one request's arguments inside its frame, no copies. Index 0 is the command's name.
///
/// Valid only while the frame's bytes and the ranges stay where they are.
public struct RequestArguments {
  @usableFromInline let frame: UnsafeRawBufferPointer
  @usableFromInline let ranges: UnsafeBufferPointer<ArgumentRange>

  /// A view of the arguments at `ranges`, which are relative to the start of `frame` and inside it.
  @inlinable
  public init(frame: UnsafeRawBufferPointer, ranges: UnsafeBufferPointer<ArgumentRange>) {
    self.frame = frame
    self.ranges = ranges
  }

  /// Number of arguments, the name included.
  @inlinable
  public var count: Int { ranges.count }

  /// The bytes of an argument. `index` must be below ``count``.
  @inlinable
  public subscript(_ index: Int) -> UnsafeRawBufferPointer {
    // Checked in release builds too: the number of arguments is the client's choice.
    precondition(index >= 0 && index < ranges.count, "no such argument")
    let range = ranges[index]
    let start = Int(range.start)
    return UnsafeRawBufferPointer(rebasing: frame[start..<start + Int(range.count)])
  }

  /// The bytes of an argument; nil where there are fewer arguments.
  @inlinable
  public func argument(_ index: Int) -> UnsafeRawBufferPointer? {
    index >= 0 && index < ranges.count ? self[index] : nil
  }

  /// A view of these arguments, put into a frame of their own.
  public static func withView<Result>(
    of arguments: [[UInt8]], _ body: (RequestArguments) -> Result
  ) -> Result {
    var frame: [UInt8] = []
    let ranges = arguments.map { argument in
      frame += argument
      return ArgumentRange(start: frame.count - argument.count, count: argument.count)
    }
    return frame.withUnsafeBytes { frame in
      ranges.withUnsafeBufferPointer { body(RequestArguments(frame: frame, ranges: $0)) }
    }
  }
}
